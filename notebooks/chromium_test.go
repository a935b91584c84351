package notebooks_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// chromium is a tab of a headless Chromium, told what to do by the DevTools
// Protocol (https://chromedevtools.github.io/devtools-protocol): JSON objects
// over a pair of pipes, a zero byte after each. It ends when its pipes close,
// and so with this process.
type chromium struct {
	commands *os.File
	replies  *os.File
	reader   *bufio.Reader
	last     int    // the last command's id
	session  string // of the tab
}

// startChromium opens an empty tab in the program at path.
func startChromium(t *testing.T, path string) *chromium {
	t.Helper()
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	theirCommands, commands, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	replies, theirReplies, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--remote-debugging-pipe", "--user-data-dir="+profile, "--window-size=1280,1300",
		"--no-sandbox", "--no-first-run", "--no-proxy-server", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--disable-sync",
		"--disable-background-networking", "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
		"--disable-renderer-backgrounding", "--force-color-profile=srgb", "--hide-scrollbars", "about:blank")
	cmd.ExtraFiles = []*os.File{theirCommands, theirReplies} // its descriptors 3 and 4
	err = cmd.Start()
	theirCommands.Close()
	theirReplies.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		commands.Close()
		late := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		late.Stop()
		replies.Close()
		os.RemoveAll(profile)
	})
	if err := replies.SetReadDeadline(time.Now().Add(patience(t))); err != nil {
		t.Fatal(err)
	}
	c := &chromium{commands: commands, replies: replies, reader: bufio.NewReader(replies)}
	var target struct{ TargetID string }
	c.must(t, "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	c.must(t, "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	c.session = attached.SessionID
	return c
}

// call sends a command and waits for its reply, passing over events.
func (c *chromium) call(method string, params map[string]any, result any) error {
	c.last++
	command := map[string]any{"id": c.last, "method": method, "params": params}
	if c.session != "" {
		command["sessionId"] = c.session
	}
	text, err := json.Marshal(command)
	if err != nil {
		return err
	}
	if _, err := c.commands.Write(append(text, 0)); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	for {
		text, err := c.reader.ReadBytes(0)
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		var reply struct {
			ID     int
			Error  *struct{ Message string }
			Result json.RawMessage
		}
		err = json.Unmarshal(text[:len(text)-1], &reply)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", method, err)
		case reply.ID != c.last:
		case reply.Error != nil:
			return fmt.Errorf("%s: %s", method, reply.Error.Message)
		case result == nil:
			return nil
		default:
			return json.Unmarshal(reply.Result, result)
		}
	}
}

func (c *chromium) must(t *testing.T, method string, params map[string]any, result any) {
	t.Helper()
	if err := c.call(method, params, result); err != nil {
		t.Fatal(err)
	}
}

// evaluate evaluates JavaScript whose value, once it is there, is a string.
func (c *chromium) evaluate(script string) (string, error) {
	var reply struct {
		Result           struct{ Value string }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := c.call("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true}, &reply)
	if err == nil && reply.ExceptionDetails != nil {
		err = fmt.Errorf("%s %s", reply.ExceptionDetails.Text, reply.ExceptionDetails.Exception.Description)
	}
	return reply.Result.Value, err
}
