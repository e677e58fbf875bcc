package sdktest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/sdk/handshake"
)

// direct calls the actuator's server as a Go value.
type direct struct{ server actuatorv1.ActuatorServer }

func (d direct) Describe(ctx context.Context, in *actuatorv1.DescribeRequest, _ ...grpc.CallOption) (*actuatorv1.DescribeResponse, error) {
	return d.server.Describe(ctx, in)
}

func (direct) PlanStream(context.Context, ...grpc.CallOption) (grpc.BidiStreamingClient[actuatorv1.PlanStreamRequest, actuatorv1.PlanStreamResponse], error) {
	return nil, status.Error(codes.Unimplemented, "a Go value has no streams")
}

func (d direct) PlanBatch(ctx context.Context, in *actuatorv1.PlanBatchRequest, _ ...grpc.CallOption) (*actuatorv1.PlanBatchResponse, error) {
	return d.server.PlanBatch(ctx, in)
}

func (d direct) Execute(ctx context.Context, in *actuatorv1.ExecuteRequest, _ ...grpc.CallOption) (*actuatorv1.ExecuteResponse, error) {
	return d.server.Execute(ctx, in)
}

// inMemory serves a over gRPC without a socket.
func inMemory(t *testing.T, a sdk.Actuator) actuatorv1.ActuatorClient {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(handshake.MaxRequestBytes))
	sdk.Register(server, a)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:memory",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(handshake.MaxAnswerBytes)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		<-served
	})
	return actuatorv1.NewActuatorClient(conn)
}

// inProcess starts this test binary again, with only the named test, which
// serves.
func inProcess(t *testing.T, test string) actuatorv1.ActuatorClient {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), self, "-test.run="+exactly(test), "-test.count=1")
	cmd.Env = []string{handshake.ParentEnv + "=" + strconv.Itoa(os.Getpid())}
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  handshake.Config(),
		VersionedPlugins: handshake.Plugins(dialed{}),
		Cmd:              cmd,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     30 * time.Second,
		Logger:           hclog.NewNullLogger(),
	})
	t.Cleanup(client.Kill)
	protocol, err := client.Client()
	if err != nil {
		t.Fatalf("the actuator's process did not start: %v", err)
	}
	raw, err := protocol.Dispense(handshake.Name)
	if err != nil {
		t.Fatal(err)
	}
	return raw.(actuatorv1.ActuatorClient)
}

// exactly is the -test.run pattern of one test.
func exactly(test string) string {
	parts := strings.Split(test, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// dialed is the client side of an actuator.
type dialed struct{ plugin.NetRPCUnsupportedPlugin }

func (dialed) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (dialed) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return actuatorv1.NewActuatorClient(conn), nil
}
