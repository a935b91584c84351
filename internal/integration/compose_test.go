package integration

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

// loadCompose reads compose.yml as Docker Compose does, which refuses what its
// schema does not know.
func loadCompose(t *testing.T, environment types.Mapping) (*types.Project, string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	project, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  root,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(root, "compose.yml")}},
		Environment: environment,
	})
	if err != nil {
		t.Fatal(err)
	}
	return project, root
}

// mount is what a service has at a path, or at the nearest folder above it.
func mount(s types.ServiceConfig, path string) (types.ServiceVolumeConfig, bool) {
	for ; path != "/" && path != "."; path = filepath.Dir(path) {
		if i := slices.IndexFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == path }); i >= 0 {
			return s.Volumes[i], true
		}
	}
	return types.ServiceVolumeConfig{}, false
}

func TestServicesAreConfined(t *testing.T) {
	project, _ := loadCompose(t, nil)
	if names := project.ServiceNames(); !slices.Equal(names, []string{"classifier", "console", "jaeger", "jupyter", "kafka"}) {
		t.Errorf("services %v", names)
	}
	for name, s := range project.Services {
		t.Run(name, func(t *testing.T) {
			if user, _, _ := strings.Cut(s.User, ":"); user == "" || user == "0" || user == "root" {
				t.Errorf("runs as user %q", s.User)
			}
			if !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || s.Privileged {
				t.Errorf("capabilities: drops %v, adds %v, privileged %v", s.CapDrop, s.CapAdd, s.Privileged)
			}
			if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
				t.Errorf("security options %v", s.SecurityOpt)
			}
			if s.NetworkMode != "" || s.Pid != "" || s.Ipc != "" {
				t.Errorf("shares the host's namespaces: network %q, pid %q, ipc %q", s.NetworkMode, s.Pid, s.Ipc)
			}
			// Cells and workers are compiled where they run.
			if compiles := s.Build != nil; s.ReadOnly == compiles {
				t.Errorf("read-only root file system: %v", s.ReadOnly)
			}
			for _, p := range s.Ports {
				if p.HostIP != "127.0.0.1" {
					t.Errorf("port %s listens at %q", p.Published, p.HostIP)
				}
			}
			for _, v := range s.Volumes {
				if strings.Contains(v.Source, "docker.sock") {
					t.Errorf("holds the engine's socket")
				}
			}
		})
	}
}

func TestPortsAreTheUsualOnes(t *testing.T) {
	project, _ := loadCompose(t, nil)
	published := map[string][]string{}
	for name, s := range project.Services {
		for _, p := range s.Ports {
			published[name] = append(published[name], p.Published)
		}
	}
	// The same that soclab up takes: links and default addresses hold in both.
	for name, want := range map[string][]string{
		"kafka": {"9092"}, "console": {"8080"}, "jaeger": {"16686", "4318"}, "jupyter": {"8888"}, "classifier": nil,
	} {
		if !slices.Equal(published[name], want) {
			t.Errorf("%s publishes %v, want %v", name, published[name], want)
		}
	}
}

func TestImagesArePinned(t *testing.T) {
	project, root := loadCompose(t, nil)
	exact := regexp.MustCompile(`:v?\d+\.\d+\.\d+$`)
	for name, s := range project.Services {
		if !exact.MatchString(s.Image) {
			t.Errorf("%s: image %s: want a tag with a whole version", name, s.Image)
		}
	}
	dockerfile, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	language := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(module)
	if want := "FROM golang:" + string(language[1]) + "-"; !strings.Contains(string(dockerfile), want) {
		t.Errorf("Dockerfile has no %q, the version of go.mod", want)
	}
	for _, from := range regexp.MustCompile(`(?m)^FROM (\S+:\S+)`).FindAllSubmatch(dockerfile, -1) {
		if !regexp.MustCompile(`:\d+\.\d+`).Match(from[1]) {
			t.Errorf("Dockerfile builds from %s", from[1])
		}
	}
}

func TestServicesWaitForHealthyOnes(t *testing.T) {
	project, _ := loadCompose(t, nil)
	for name, s := range project.Services {
		if healthy := s.HealthCheck != nil && len(s.HealthCheck.Test) > 0; !healthy && name != "classifier" {
			t.Errorf("%s has no healthcheck", name)
		}
		for other, dependency := range s.DependsOn {
			if dependency.Condition != types.ServiceConditionHealthy {
				t.Errorf("%s waits until %s is %s", name, other, dependency.Condition)
			}
		}
	}
	for _, name := range []string{"jupyter", "classifier"} {
		for _, other := range []string{"kafka", "jaeger"} {
			if _, waits := project.Services[name].DependsOn[other]; !waits {
				t.Errorf("%s does not wait for %s", name, other)
			}
		}
	}
}

func TestMemoryFitsFourGigabytes(t *testing.T) {
	const workers = 3
	project, _ := loadCompose(t, nil)
	var sum types.UnitBytes
	for name, s := range project.Services {
		if s.MemLimit == 0 {
			t.Errorf("%s has no limit", name)
		}
		sum += s.MemLimit
		if name == "classifier" {
			sum += (workers - 1) * s.MemLimit
		}
	}
	if sum > 4<<30 {
		t.Errorf("the limits with %d workers sum up to %d MiB", workers, sum>>20)
	}
}

func TestKafkaListenersAndLog(t *testing.T) {
	project, _ := loadCompose(t, nil)
	kafka := project.Services["kafka"]
	setting := func(name string) string {
		if value := kafka.Environment["KAFKA_"+name]; value != nil {
			return *value
		}
		t.Errorf("KAFKA_%s is not set", name)
		return ""
	}
	if roles := setting("PROCESS_ROLES"); roles != "broker,controller" {
		t.Errorf("roles %s: want one node that is both (KRaft)", roles)
	}
	advertised := map[string]string{} // address by listener
	for address := range strings.SplitSeq(setting("ADVERTISED_LISTENERS"), ",") {
		listener, at, _ := strings.Cut(address, "://")
		advertised[listener] = at
		if !strings.Contains(setting("LISTENERS"), listener+"://:"+at[strings.LastIndex(at, ":")+1:]) {
			t.Errorf("%s is advertised, but not listened at: %s", address, setting("LISTENERS"))
		}
	}
	if host := "localhost:" + kafka.Ports[0].Published; advertised["HOST"] != host {
		t.Errorf("advertised to the host: %s, published: %s", advertised["HOST"], host)
	}
	for _, name := range []string{"console", "jupyter", "classifier"} {
		if brokers := project.Services[name].Environment["KAFKA_BROKERS"]; brokers == nil || *brokers != advertised["INSIDE"] {
			t.Errorf("%s is not sent to %s", name, advertised["INSIDE"])
		}
	}
	for _, topic := range []string{"OFFSETS_TOPIC", "TRANSACTION_STATE_LOG", "SHARE_COORDINATOR_STATE_TOPIC"} {
		if copies := setting(topic + "_REPLICATION_FACTOR"); copies != "1" {
			t.Errorf("%s wants %s copies of one broker", topic, copies)
		}
	}
	if volume, found := mount(kafka, setting("LOG_DIRS")); !found || volume.Type != types.VolumeTypeVolume || volume.Source == "" {
		t.Errorf("the log in %s is not on a named volume", setting("LOG_DIRS"))
	}
}

func TestJaegerKeepsTraces(t *testing.T) {
	project, _ := loadCompose(t, nil)
	jaeger := project.Services["jaeger"]
	var config struct {
		Extensions struct {
			Storage struct {
				Backends map[string]struct {
					Badger *struct {
						Ephemeral   bool
						Directories struct{ Keys, Values string }
					}
				}
			} `yaml:"jaeger_storage"`
			Query struct {
				Storage struct{ Traces string }
			} `yaml:"jaeger_query"`
		}
		Exporters struct {
			Storage struct {
				Traces string `yaml:"trace_storage"`
			} `yaml:"jaeger_storage_exporter"`
		}
	}
	if err := yaml.Unmarshal([]byte(*jaeger.Environment["JAEGER_CONFIG"]), &config); err != nil {
		t.Fatal(err)
	}
	name := config.Exporters.Storage.Traces
	if name == "" || config.Extensions.Query.Storage.Traces != name {
		t.Errorf("spans go to %q, queries to %q", name, config.Extensions.Query.Storage.Traces)
	}
	disk := config.Extensions.Storage.Backends[name].Badger
	if disk == nil || disk.Ephemeral {
		t.Fatalf("backend %q does not keep traces", name)
	}
	for _, dir := range []string{disk.Directories.Keys, disk.Directories.Values} {
		if volume, found := mount(jaeger, dir); !found || volume.Type != types.VolumeTypeVolume {
			t.Errorf("%q is not on a named volume", dir)
		}
	}
}

func TestNotebooksAndWorkersShareTheRepository(t *testing.T) {
	project, root := loadCompose(t, types.Mapping{"SOCLAB_UID": "1234", "SOCLAB_GID": "567"})
	jupyter, classifier := project.Services["jupyter"], project.Services["classifier"]
	if classifier.Scale == nil || *classifier.Scale != 0 || len(classifier.Profiles) > 0 {
		t.Errorf("workers are not left to --scale: scale %v, profiles %v", classifier.Scale, classifier.Profiles)
	}
	if jupyter.Image != classifier.Image {
		t.Errorf("images %s and %s", jupyter.Image, classifier.Image)
	}
	for _, s := range []types.ServiceConfig{jupyter, classifier} {
		if s.User != "1234:567" {
			t.Errorf("%s runs as %s, whatever SOCLAB_UID and SOCLAB_GID say", s.Name, s.User)
		}
		if volume, found := mount(s, "/soclab"); !found || volume.Source != root || volume.ReadOnly {
			t.Errorf("%s has not the repository at /soclab: %+v", s.Name, volume)
		}
	}
	if classifier.ContainerName != "" {
		t.Error("a container's name keeps workers from being scaled")
	}
}
