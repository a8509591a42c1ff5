//go:build ignore

// Gen makes the Go code of this folder again, see the package comment. It is
// run by `go generate ./runtime/serve/inferencepb` and needs python3 with pip.
package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// The published protocol, as the clients of the Open Inference Protocol have
// it: tritonclient's wheel on PyPI carries the descriptors of Triton's
// grpc_service.proto and model_config.proto, of which KServe's
// open_inference_grpc.proto is a part with equal numbers.
const (
	requirement = "tritonclient==2.73.0"
	wheel       = "tritonclient-2.73.0-py3-none-any.whl"
	wheelSHA256 = "1f5cec19b0568e037ec4d716ae702984b3ab93e35f72b8f72c5135374dd2be9a"

	goPackage = "github.com/dunlin-mesh/dunlin/runtime/serve/inferencepb;inferencepb"
)

// plugins are the generators; the first has the version of go.mod.
var plugins = []string{"google.golang.org/protobuf/cmd/protoc-gen-go", "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2"}

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatal("gen: ", err)
	}
}

func run() (err error) {
	temp, err := os.MkdirTemp("", "inferencepb-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	pip := exec.Command("python3", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", temp, requirement)
	if out, err := pip.CombinedOutput(); err != nil {
		return fmt.Errorf("pip: %w: %s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(temp, wheel))
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != wheelSHA256 {
		return fmt.Errorf("%s has sha256 %x, pinned is %s", wheel, sum, wheelSHA256)
	}
	var files []*descriptorpb.FileDescriptorProto
	for _, member := range []string{"tritonclient/grpc/model_config_pb2.py", "tritonclient/grpc/service_pb2.py"} {
		file, err := descriptor(data, member)
		if err != nil {
			return fmt.Errorf("%s: %w", member, err)
		}
		files = append(files, file)
	}
	for _, plugin := range plugins {
		if err := generate(plugin, files); err != nil {
			return fmt.Errorf("%s: %w", plugin, err)
		}
	}
	return nil
}

// serialized finds the descriptor in a module that protoc made for Python.
var serialized = regexp.MustCompile(`AddSerializedFile\(b'(.*)'\)`)

// descriptor returns the file descriptor that a member of the wheel carries.
func descriptor(wheel []byte, member string) (*descriptorpb.FileDescriptorProto, error) {
	z, err := zip.NewReader(bytes.NewReader(wheel), int64(len(wheel)))
	if err != nil {
		return nil, err
	}
	f, err := z.Open(member)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	m := serialized.FindSubmatch(text)
	if m == nil {
		return nil, errors.New("no descriptor")
	}
	raw, err := strconv.Unquote(`"` + strings.ReplaceAll(string(m[1]), `\'`, `'`) + `"`)
	if err != nil {
		return nil, err
	}
	file := new(descriptorpb.FileDescriptorProto)
	if err := proto.Unmarshal([]byte(raw), file); err != nil {
		return nil, err
	}
	file.Options = &descriptorpb.FileOptions{GoPackage: proto.String(goPackage)}
	return file, nil
}

// generate runs one plugin of protoc, as protoc would, and writes what it made.
func generate(plugin string, files []*descriptorpb.FileDescriptorProto) error {
	request := &pluginpb.CodeGeneratorRequest{Parameter: proto.String("paths=source_relative"), ProtoFile: files}
	for _, f := range files {
		request.FileToGenerate = append(request.FileToGenerate, f.GetName())
	}
	in, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "run", plugin)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(out, &response); err != nil {
		return err
	}
	if response.Error != nil {
		return errors.New(response.GetError())
	}
	for _, f := range response.GetFile() {
		if !slices.Contains([]string{"model_config.pb.go", "grpc_service.pb.go", "grpc_service_grpc.pb.go"}, f.GetName()) {
			return fmt.Errorf("it made %s", f.GetName())
		}
		if err := os.WriteFile(f.GetName(), []byte(f.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
