package pluginhost

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/plugins/attribution"
	"github.com/feddi/feddi/plugins/cashback"
	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/sdk/handshake"
	"github.com/feddi/feddi/plugins/wallet"
)

// TestMain lets the test binary be every process that the tests need: run with
// "actuator <name>" it is that actuator.
func TestMain(m *testing.M) {
	if len(os.Args) == 1 && os.Getenv(handshake.Config().MagicCookieKey) != "" {
		sdk.Serve(patient{}) // as it was installed: an executable without arguments
		os.Exit(0)
	}
	if len(os.Args) > 2 && os.Args[1] == "actuator" {
		act(os.Args[2], os.Args[3:])
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func act(name string, args []string) {
	switch name {
	case "wallet":
		sdk.Serve(wallet.Wallet{})
	case "lean-wallet": // as the program serves it
		debug.SetGCPercent(400)
		runtime.GOMAXPROCS(1)
		sdk.Serve(wallet.Wallet{})
	case "cashback":
		sdk.Serve(cashback.Cashback{})
	case "attribution":
		sdk.Serve(attribution.Attribution{})
	case "odd":
		sdk.Serve(odd{})
	case "misnamed":
		sdk.Serve(wallet.Wallet{})
	case "raw":
		serveRaw(handshake.Version, answers[args[0]])
	case "raw-stream":
		servePlugin(handshake.Version, &rawStream{name: args[0]})
	case "future":
		serveRaw(99, answers["short"])
	case "past":
		serveRaw(0, answers["short"])
	case "old":
		serveRaw(handshake.Oldest, answers["echo"])
	case "newer":
		serveNewer()
	case "patient":
		sdk.Serve(patient{})
	case "nothing-declared":
		sdk.Serve(nothing{})
	case "panics":
		panic("I was not given my settings")
	case "mute":
		select {}
	case "babble":
		fmt.Println("hello, I am not an actuator")
		select {}
	case "crash":
		os.Exit(3)
	case "once":
		startsOnce(args[0])
	case "crash-twice":
		crashTwice(args[0])
	case "host":
		beHost()
	}
}

// startsOnce is the odd actuator the first time, and dies at every later start.
func startsOnce(marker string) {
	f, err := os.OpenFile(marker, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		os.Exit(3)
	}
	_ = f.Close()
	sdk.Serve(odd{})
}

// crashTwice dies two times, and is the odd actuator from then on.
func crashTwice(marker string) {
	if times, _ := os.ReadFile(marker); len(times) < 2 {
		_ = os.WriteFile(marker, append(times, 'x'), 0o600)
		os.Exit(3)
	}
	sdk.Serve(odd{})
}

// beHost is a host with one actuator; it prints the process ids of the actuator
// and its standby and waits to be killed.
func beHost() {
	h, err := New(Config{Specs: []Spec{standing("wallet")}, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = h.Start(context.Background())
	}
	if err == nil {
		err = h.WaitReady(context.Background())
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for range time.Tick(time.Millisecond) {
		if r := h.Reports()[0]; r.Standby != 0 {
			fmt.Println(r.Pid, r.Standby)
			break
		}
	}
	select {}
}

// patient is odd with time, for tests that are not about deadlines.
type patient struct{ odd }

func (patient) Describe() sdk.Manifest {
	m := odd{}.Describe()
	m.TimeLimit = 10 * time.Second
	return m
}

// nothing declares nothing.
type nothing struct{ odd }

func (nothing) Describe() sdk.Manifest { return sdk.Manifest{} }

// odd does what the snapshot's session id says.
type odd struct{}

func (odd) Describe() sdk.Manifest {
	return sdk.Manifest{
		Name: "odd", Version: "1.2.3", DecisionKinds: []sdk.Kind{sdk.KindEnrichment}, EffectKinds: []sdk.EffectKind{sdk.EffectAnnotation},
		TimeLimit: 150 * time.Millisecond, Policy: sdk.Optional, CommandKinds: []string{"sms.send"},
	}
}

func (odd) Plan(ctx context.Context, s sdk.Snapshot) (sdk.Plan, error) {
	reasoning := sdk.Reasoning{Summary: "Odd.", Rule: "odd"}
	switch s.SessionID {
	case "hang":
		select {}
	case "panic":
		panic("I cannot read this")
	case "typed":
		return sdk.Plan{}, &sdk.Error{Code: "no_such_profile", Message: "unknown profile", Field: "facts.profile", Retryable: true}
	case "exit":
		os.Exit(4)
	case "exit-once":
		exitOnce(s.Facts)
	case "print":
		fmt.Println("this is not for you")
	case "fork":
		return fork()
	case "allocate":
		allocate()
	case "spin":
		for { //nolint:staticcheck // it is to use up the processor
		}
	case "dial":
		return dial()
	case "write":
		return write()
	case "environment":
		data, err := json.Marshal(map[string]any{"environment": os.Environ()})
		return sdk.Plan{Effects: []sdk.Effect{sdk.Annotation(data)}, Reasoning: reasoning}, err
	case "wait":
		<-ctx.Done()
		return sdk.Plan{}, ctx.Err()
	case "slow":
		waitFor(s.Facts)
	}
	return sdk.Plan{Effects: []sdk.Effect{sdk.Annotation([]byte(`{"pid":` + fmt.Sprint(os.Getpid()) + `}`))}, Reasoning: reasoning}, nil
}

// fork leaves a child behind and says which.
func fork() (sdk.Plan, error) {
	cmd := exec.Command("/bin/sleep", "3600")
	if err := cmd.Start(); err != nil {
		return sdk.Plan{}, err
	}
	return says(map[string]any{"started": true})
}

// allocate never has enough.
func allocate() {
	var all [][]byte
	for {
		page := make([]byte, 16<<20)
		for i := range page {
			page[i] = 1
		}
		all = append(all, page)
		_ = all
	}
}

// dial tries to reach the address that is everybody's.
func dial() (sdk.Plan, error) {
	conn, err := net.DialTimeout("udp", "192.0.2.1:53", time.Second)
	if err == nil {
		_, err = conn.Write([]byte("hello"))
		_ = conn.Close()
	}
	return says(map[string]any{"reached": err == nil, "error": fmt.Sprint(err)})
}

// write writes a file that is too large, where it may write at all.
func write() (sdk.Plan, error) {
	signal.Ignore(syscall.SIGXFSZ)
	dir, _ := os.Getwd()
	err := os.WriteFile("large", make([]byte, 2<<20), 0o600)
	return says(map[string]any{"dir": dir, "error": fmt.Sprint(err)})
}

func says(facts map[string]any) (sdk.Plan, error) {
	data, err := json.Marshal(facts)
	return sdk.Plan{Effects: []sdk.Effect{sdk.Annotation(data)}, Reasoning: sdk.Reasoning{Summary: "Odd.", Rule: "odd"}}, err
}

// exitOnce dies unless another process did before.
func exitOnce(facts json.RawMessage) {
	var in struct {
		File string `json:"file"`
	}
	_ = json.Unmarshal(facts, &in)
	if f, err := os.OpenFile(in.File, os.O_CREATE|os.O_EXCL, 0o600); err == nil {
		_ = f.Close()
		os.Exit(4)
	}
}

// waitFor returns once the file named in the facts exists.
func waitFor(facts json.RawMessage) {
	var in struct {
		File string `json:"file"`
	}
	_ = json.Unmarshal(facts, &in)
	for range time.Tick(time.Millisecond) {
		if _, err := os.Stat(in.File); err == nil {
			return
		}
	}
}

func (odd) Execute(ctx context.Context, c sdk.Command) (sdk.Receipt, error) {
	switch c.IdempotencyKey {
	case "hang":
		select {}
	case "fetch":
		return fetch(ctx, c)
	}
	if c.Attempt > 1 {
		return sdk.Receipt{}, &sdk.Error{Code: sdk.CodeUnavailable, Message: "the provider is down", Retryable: true}
	}
	return sdk.Receipt{Reference: "msg-" + c.IdempotencyKey, Result: c.Payload}, nil
}

// fetch gets what the payload names, by the gate and past it.
func fetch(ctx context.Context, c sdk.Command) (sdk.Receipt, error) {
	var in struct{ URL, Direct string }
	if err := c.DecodePayload(&in); err != nil {
		return sdk.Receipt{}, err
	}
	if in.Direct != "" {
		conn, err := net.DialTimeout("tcp", in.Direct, time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return sdk.Receipt{Reference: fmt.Sprint("reached: ", err == nil)}, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, in.URL, nil)
	if err != nil {
		return sdk.Receipt{}, err
	}
	res, err := sdk.HTTPClient().Do(req)
	if err != nil {
		return sdk.Receipt{}, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	return sdk.Receipt{Reference: string(body)}, err
}

// answers are what raw actuators reply, whatever they are asked.
var answers = map[string]func(*actuatorv1.PlanBatchRequest) *actuatorv1.PlanBatchResponse{
	"echo": func(req *actuatorv1.PlanBatchRequest) *actuatorv1.PlanBatchResponse {
		res := &actuatorv1.PlanBatchResponse{}
		for _, s := range req.GetSnapshots() {
			stored, _ := json.Marshal(map[string]bool{"stored": len(s.GetStoredJson()) > 0})
			res.Plans = append(res.Plans, &actuatorv1.Plan{
				SnapshotId: s.GetId(), Reasoning: &actuatorv1.Reasoning{Summary: "Old.", Rule: "old"},
				Effects: []*actuatorv1.Effect{{Kind: "annotation.write", DataJson: stored}},
			})
		}
		return res
	},
	"short": func(*actuatorv1.PlanBatchRequest) *actuatorv1.PlanBatchResponse {
		return &actuatorv1.PlanBatchResponse{}
	},
	"foreign": func(*actuatorv1.PlanBatchRequest) *actuatorv1.PlanBatchResponse {
		return &actuatorv1.PlanBatchResponse{Plans: []*actuatorv1.Plan{{SnapshotId: "somebody else's"}}}
	},
	"oversized": func(req *actuatorv1.PlanBatchRequest) *actuatorv1.PlanBatchResponse {
		return &actuatorv1.PlanBatchResponse{Plans: []*actuatorv1.Plan{{
			SnapshotId: req.GetSnapshots()[0].GetId(), Refusal: strings.Repeat("x", handshake.MaxAnswerBytes),
		}}}
	},
}

// streamed are the answers of raw actuators that serve PlanStream.
var streamed = map[string]func(*actuatorv1.PlanStreamRequest) *actuatorv1.PlanStreamResponse{
	"unreadable": func(req *actuatorv1.PlanStreamRequest) *actuatorv1.PlanStreamResponse {
		return &actuatorv1.PlanStreamResponse{Call: req.GetCall(), Answer: []byte("this is no message")}
	},
	"another call's": func(req *actuatorv1.PlanStreamRequest) *actuatorv1.PlanStreamResponse {
		return &actuatorv1.PlanStreamResponse{Call: req.GetCall() - 1, Answer: encoded("echo", req)}
	},
	"none": func(*actuatorv1.PlanStreamRequest) *actuatorv1.PlanStreamResponse { return nil },
}

// encoded is the answer of a raw actuator.
func encoded(name string, req *actuatorv1.PlanStreamRequest) []byte {
	batch := &actuatorv1.PlanBatchRequest{}
	if err := proto.Unmarshal(req.GetBatch(), batch); err != nil {
		panic(err)
	}
	out, err := proto.Marshal(answers[name](batch))
	if err != nil {
		panic(err)
	}
	return out
}

// rawStream is raw with streams.
type rawStream struct {
	raw

	name string
}

func (r *rawStream) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	actuatorv1.RegisterActuatorServer(s, r)
	return nil
}

// PlanStream ends where there is no answer.
func (r *rawStream) PlanStream(stream actuatorv1.Actuator_PlanStreamServer) error {
	for {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		answer := streamed[r.name]
		if answer == nil {
			answer = func(req *actuatorv1.PlanStreamRequest) *actuatorv1.PlanStreamResponse {
				return &actuatorv1.PlanStreamResponse{Call: req.GetCall(), Answer: encoded(r.name, req)}
			}
		}
		res := answer(req)
		if res == nil {
			return nil
		}
		if err := stream.Send(res); err != nil {
			return err
		}
	}
}

// raw is an actuator that is not built on the SDK.
type raw struct {
	plugin.NetRPCUnsupportedPlugin
	actuatorv1.UnimplementedActuatorServer

	answer func(*actuatorv1.PlanBatchRequest) *actuatorv1.PlanBatchResponse
}

func (r *raw) Describe(context.Context, *actuatorv1.DescribeRequest) (*actuatorv1.DescribeResponse, error) {
	return sdk.NewServer(patient{}).Describe(context.Background(), nil) // a busy machine needs its time for a large answer
}

func (r *raw) PlanBatch(_ context.Context, req *actuatorv1.PlanBatchRequest) (*actuatorv1.PlanBatchResponse, error) {
	return r.answer(req), nil
}

func (r *raw) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	actuatorv1.RegisterActuatorServer(s, r)
	return nil
}

func (r *raw) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

func serveRaw(version int, answer func(*actuatorv1.PlanBatchRequest) *actuatorv1.PlanBatchResponse) {
	servePlugin(version, &raw{answer: answer})
}

func servePlugin(version int, p plugin.Plugin) {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  handshake.Config(),
		VersionedPlugins: map[int]plugin.PluginSet{version: {handshake.Name: p}},
		GRPCServer:       plugin.DefaultGRPCServer,
	})
}

// serveNewer is an actuator of a newer SDK, which speaks a version that this
// host does not know beside the ones that it does.
func serveNewer() {
	versions := handshake.Plugins(&raw{answer: answers["echo"]})
	versions[handshake.Version+1] = versions[handshake.Version]
	plugin.Serve(&plugin.ServeConfig{HandshakeConfig: handshake.Config(), VersionedPlugins: versions, GRPCServer: plugin.DefaultGRPCServer})
}

// standing is a spec with a standby.
func standing(name string, args ...string) Spec {
	s := Self(name, append([]string{"actuator", name}, args...)...)
	s.Standby = true
	return s
}

// own is a spec for this test binary by path and checksum.
func own(t *testing.T, name string, args ...string) Spec {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Spec{Name: name, Command: path, SHA256: checksum(t, path), Args: args}
}

func tempFile(t *testing.T) string { return filepath.Join(t.TempDir(), "file") }
