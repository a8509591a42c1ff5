package main

import (
	"fmt"
	"math"
	"strconv"

	"github.com/dunlin-mesh/dunlin/node/api"
)

// Rates of links in bit/s: from the slowest to the fastest that anybody asks for.
const (
	minRate = 1
	maxRate = 1e12
)

// parseRates reads --rate: numbers in bit/s, with k, M or G for powers of 1000.
func parseRates(texts []string) ([]int64, error) {
	var rates []int64
	for _, text := range texts {
		number, unit := text, 1.0
		if n := len(text); n > 0 {
			if u, ok := map[byte]float64{'k': 1e3, 'K': 1e3, 'M': 1e6, 'G': 1e9}[text[n-1]]; ok {
				number, unit = text[:n-1], u
			}
		}
		v, err := strconv.ParseFloat(number, 64)
		if v *= unit; err != nil || !(v >= minRate && v <= maxRate) {
			return nil, api.Errorf(api.CodeUsage, "--rate %.40q: give the bits per second of a link, such as 2400, 64k or 1.5M", text)
		}
		rates = append(rates, int64(math.Round(v)))
	}
	return rates, nil
}

// rateText writes a rate for people.
func rateText(rate int64) string {
	v, unit := float64(rate), ""
	for _, u := range []string{"k", "M", "G", "T"} {
		if v < 1000 {
			break
		}
		v, unit = v/1000, u
	}
	return fmt.Sprintf("%s %sbit/s", strconv.FormatFloat(v, 'f', -1, 64), unit)
}
