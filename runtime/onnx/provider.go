//go:build cgo && (linux || darwin)

package onnx

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"strings"

	ort "github.com/yalue/onnxruntime_go"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// appendProvider makes sessions of opts run on the provider of cfg. The error
// wraps runtime.ErrProvider.
func appendProvider(opts *ort.SessionOptions, cfg Config) error {
	p := cfg.provider()
	if p == modelrt.CPU {
		return nil // always there, and always last
	}
	if why := neverHere(p, runtime.GOOS, runtime.GOARCH); why != "" {
		return providerError(p, errors.New(why))
	}
	options := defaultOptions(p)
	if cfg.CacheDir != "" {
		if cached := cacheOptions(p, cfg.CacheDir); len(cached) > 0 {
			if err := os.MkdirAll(cfg.CacheDir, 0o700); err != nil {
				return fmt.Errorf("make cache folder: %w", err)
			}
			maps.Copy(options, cached)
		}
	}
	maps.Copy(options, cfg.ProviderOptions)
	if err := tryAppend(opts, p, options); err != nil {
		return providerError(p, err)
	}
	return nil
}

// providerError says which provider cannot be used, why, and what to do.
func providerError(p modelrt.Provider, err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "not enabled in this build"), strings.Contains(text, "not supported in this build"),
		strings.Contains(text, "Unknown provider name"):
		err = fmt.Errorf("this library was built without it (%w)", err)
	case strings.Contains(text, "Failed to load"), strings.Contains(text, "cannot open shared object"):
		err = fmt.Errorf("a library that it needs is not there (%w)", err)
	}
	return fmt.Errorf("%s: %w: %w", p.Full(), modelrt.ErrProvider, err)
}

// neverHere says why a provider exists for no machine of this kind; empty where
// the library must be asked.
func neverHere(p modelrt.Provider, goos, goarch string) string {
	switch {
	case p == modelrt.CoreML && goos != "darwin":
		return "it exists for Apple's systems only, this is " + goos
	case p == modelrt.DirectML && goos != "windows":
		return "it exists for Windows only, this is " + goos
	case p == modelrt.OpenVINO && goarch != "amd64" && goarch != "arm64":
		return "it exists for x86-64 and ARM64 only, this is " + goarch
	case (p == modelrt.CUDA || p == modelrt.TensorRT) && goos == "darwin":
		return "it needs an NVIDIA GPU, which no system of Apple's supports"
	}
	return ""
}

// defaultOptions are what this package asks of a provider unless told otherwise.
func defaultOptions(p modelrt.Provider) map[string]string {
	if p == modelrt.OpenVINO {
		return map[string]string{"device_type": "CPU"}
	}
	return map[string]string{}
}

// cacheOptions make a provider keep what it compiled in dir. Names: the options
// of each provider at onnxruntime.ai/docs/execution-providers.
func cacheOptions(p modelrt.Provider, dir string) map[string]string {
	switch p {
	case modelrt.OpenVINO:
		return map[string]string{"cache_dir": dir}
	case modelrt.TensorRT:
		return map[string]string{
			"trt_engine_cache_enable": "1", "trt_engine_cache_path": dir,
			"trt_timing_cache_enable": "1", "trt_timing_cache_path": dir,
		}
	case modelrt.CoreML:
		return map[string]string{"ModelCacheDirectory": dir}
	}
	return nil
}

// tryAppend hands the provider to the library.
func tryAppend(opts *ort.SessionOptions, p modelrt.Provider, options map[string]string) error {
	switch p {
	case modelrt.CUDA:
		o, err := ort.NewCUDAProviderOptions()
		if err != nil {
			return err
		}
		return errors.Join(firstError(o.Update(options), func() error { return opts.AppendExecutionProviderCUDA(o) }), o.Destroy())
	case modelrt.TensorRT:
		o, err := ort.NewTensorRTProviderOptions()
		if err != nil {
			return err
		}
		return errors.Join(firstError(o.Update(options), func() error { return opts.AppendExecutionProviderTensorRT(o) }), o.Destroy())
	case modelrt.OpenVINO:
		return opts.AppendExecutionProviderOpenVINO(options)
	case modelrt.CoreML:
		return opts.AppendExecutionProviderCoreMLV2(options)
	}
	return opts.AppendExecutionProvider(string(p), options)
}

// firstError returns err, or else what next returns.
func firstError(err error, next func() error) error {
	if err != nil {
		return err
	}
	return next()
}
