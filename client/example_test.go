package client_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"log"
	"time"

	"github.com/dunlin-mesh/dunlin/client"
)

// One window of 32 ms through a voice detector, with a deadline.
func Example() {
	c, err := client.New(client.Config{Address: "127.0.0.1:8001"})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = c.Close() }()

	samples, state := make([]float32, 512), make([]float32, 2*128)
	inputs := make([]client.Tensor, 3) // used again for every window
	err = errors.Join(
		client.Set(&inputs[0], "input", []int64{1, 512}, samples),
		client.Set(&inputs[1], "state", []int64{2, 1, 128}, state),
		client.Set(&inputs[2], "sr", nil, []int64{16000}))
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	result, err := c.Infer(ctx, client.Request{Model: "acme/vad", Inputs: inputs})
	switch {
	case errors.Is(err, client.ErrOverloaded), errors.Is(err, context.DeadlineExceeded):
		log.Print("skipping a window: ", err)
		return
	case err != nil:
		log.Fatal(err)
	}
	speech, err := client.Get[float32](nil, result.Output("output"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Version, speech[0])
}

// A picture as a file: the node decodes it as the model's metadata asks.
func ExampleSetBytes() {
	jpeg := []byte("\xff\xd8\xff...")
	var in client.Tensor
	if err := client.SetBytes(&in, "image", jpeg); err != nil {
		log.Fatal(err)
	}
	fmt.Println(in.Datatype, in.Shape)
	// Output: BYTES [1]
}

// A camera that looks at an empty room for a second, then somebody comes in.
func ExampleSampler() {
	s, err := client.NewSampler(client.DefaultSampler())
	if err != nil {
		log.Fatal(err)
	}
	start := time.Unix(0, 0)
	for i := range 10 {
		frame := image.NewGray(image.Rect(0, 0, 640, 480))
		if i >= 8 {
			for y := range 200 {
				for x := range 80 {
					frame.SetGray(300+x, 200+y, color.Gray{Y: 180})
				}
			}
		}
		if s.Keep(frame, start.Add(time.Duration(i)*100*time.Millisecond), 20_000) {
			fmt.Println("send frame", i)
		}
	}
	saved := s.Sampled()
	fmt.Println(saved.Skipped, "skipped,", saved.BytesSaved, "bytes saved")
	// Output:
	// send frame 0
	// send frame 8
	// 8 skipped, 160000 bytes saved
}
