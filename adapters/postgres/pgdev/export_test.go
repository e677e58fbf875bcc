package pgdev

import "context"

// StartFrom starts a server where the machine has only what is given.
func StartFrom(ctx context.Context, o Options, folders []string, docker, cache, repository string) (*Server, error) {
	return sources{folders: folders, docker: docker, cache: cache, repository: repository}.start(ctx, o)
}

// For tests.
var (
	NewestImage   = newestImage
	ContainerArgs = containerArgs
)
