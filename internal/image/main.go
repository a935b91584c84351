// Command image installs the environment of the notebooks in the container
// image. It is apart from soclab so that the image's layer of that environment
// depends on package jupyter alone, not on everything that soclab imports.
package main

import (
	"context"
	"log"
	"os"

	"soclab/internal/folder"
	"soclab/internal/jupyter"
)

func main() {
	root, err := folder.Root()
	if err != nil {
		log.Fatal(err)
	}
	home, err := folder.Home()
	if err != nil {
		log.Fatal(err)
	}
	if _, err := jupyter.Install(context.Background(), root, home, os.Stdout); err != nil {
		log.Fatal(err)
	}
}
