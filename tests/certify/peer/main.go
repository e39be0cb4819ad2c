// Asks gguf-parser-go what a model takes on a machine without GPUs. A line of JSON in, a line of JSON out.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	parser "github.com/gpustack/gguf-parser-go"
)

type question struct {
	Path                             string
	Context, Parallel, Batch, Ubatch int32
	CacheTypeK, CacheTypeV           string
	FlashAttention, SwaFull          bool
}

var types = map[string]parser.GGMLType{
	"f32": parser.GGMLTypeF32, "f16": parser.GGMLTypeF16, "bf16": parser.GGMLTypeBF16,
	"q8_0": parser.GGMLTypeQ8_0, "q4_0": parser.GGMLTypeQ4_0,
}

func answer(asked question) (told map[string]uint64, err error) {
	defer func() {
		if found := recover(); found != nil {
			err = fmt.Errorf("%v", found)
		}
	}()
	file, err := parser.ParseGGUFFile(asked.Path)
	if err != nil {
		return nil, err
	}
	options := []parser.GGUFRunEstimateOption{
		parser.WithLLaMACppContextSize(asked.Context), parser.WithParallelSize(asked.Parallel),
		parser.WithLLaMACppLogicalBatchSize(asked.Batch), parser.WithLLaMACppPhysicalBatchSize(asked.Ubatch),
		parser.WithLLaMACppCacheKeyType(types[asked.CacheTypeK]), parser.WithLLaMACppCacheValueType(types[asked.CacheTypeV]),
		parser.WithLLaMACppOffloadLayers(0),
	}
	if asked.FlashAttention {
		options = append(options, parser.WithFlashAttention())
	}
	if asked.SwaFull {
		options = append(options, parser.WithLLaMACppFullSizeSWACache())
	}
	host := file.EstimateLLaMACppRun(options...).Devices[0]
	// Its footprint of the process itself is left out: no buffer of the engine holds that.
	working := host.Computation.Input + max(host.Computation.Compute, host.Computation.Output)
	return map[string]uint64{
		"model": uint64(host.Weight.Sum()), "kv": uint64(host.KVCache.Sum()), "compute": uint64(working),
	}, nil
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	write := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		told, err := answer(asked)
		if err != nil {
			write.Encode(map[string]string{"error": err.Error()})
			continue
		}
		write.Encode(told)
	}
}
