// servers is an OCI registry (distribution), its client (ORAS) and an S3 object store (versitygw) in one binary, for tests of
// what speaks to them: the protocols' own implementations, with their own checks of passwords, tokens and signatures. They
// end with stdin.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/auth/token"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"oras.land/oras/cmd/oras/root"
)

const usage = `usage: servers registry CONFIG.yml
       servers objectstore DIRECTORY ADDRESS REGION    keys in ROOT_ACCESS_KEY and ROOT_SECRET_KEY
       servers oras ARGUMENTS...                       the client of ORAS, which fills registries`

func main() {
	args := os.Args[1:]
	go endWithStdin()
	var err error
	switch {
	case len(args) == 2 && args[0] == "registry":
		registry.RootCmd.SetArgs([]string{"serve", args[1]})
		err = registry.RootCmd.Execute()
	case len(args) == 4 && args[0] == "objectstore":
		err = serveObjects(args[1], args[2], args[3])
	case len(args) > 1 && args[0] == "oras":
		program := root.New()
		program.SetArgs(args[1:])
		err = program.Execute()
	default:
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serveObjects keeps what no file has, such as the digest of an object, in files beside them: not every file system has
// extended attributes.
func serveObjects(directory, address, region string) error {
	objects, sidecar := directory+"/objects", directory+"/metadata"
	for _, folder := range []string{objects, sidecar} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
	}
	metadata, err := meta.NewSideCar(sidecar)
	if err != nil {
		return err
	}
	backend, err := posix.New(objects, metadata, posix.PosixOpts{SideCarDir: sidecar, NewDirPerm: 0o700, Concurrency: 16})
	if err != nil {
		return err
	}
	return embedgw.RunVersityGW(context.Background(), backend, &embedgw.Config{
		RootUserAccess:    os.Getenv("ROOT_ACCESS_KEY"),
		RootUserSecret:    os.Getenv("ROOT_SECRET_KEY"),
		Region:            region,
		Ports:             []string{address},
		MaxConnections:    256,
		MaxRequests:       256,
		MultipartMaxParts: 10_000,
		Quiet:             true,
	})
}

func endWithStdin() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}
