package source

import (
	"encoding/binary"
	"fmt"
	"net/url"
	"strconv"
)

// Content is made up: the bytes that `faultplug` has for the same URL, so that a test knows them.
type Content struct {
	Seed, Size uint64
}

// ContentOf is what `size` and `seed` in the query of a URL name.
func ContentOf(text string) Content {
	content := Content{Seed: 1, Size: 100_000}
	parsed, err := url.Parse(text)
	if err != nil {
		return content
	}
	for key, field := range map[string]*uint64{"seed": &content.Seed, "size": &content.Size} {
		if number, err := strconv.ParseUint(parsed.Query().Get(key), 10, 64); err == nil {
			*field = number
		}
	}
	return content
}

// Etag tells one content from another.
func (c Content) Etag() string {
	return fmt.Sprintf(`"%d-%d"`, c.Seed, c.Size)
}

// Bytes from start to end.
func (c Content) Bytes(start, end uint64) []byte {
	bytes := make([]byte, 0, end-start+16)
	for index := start / 8; index < (end+7)/8; index++ {
		bytes = binary.LittleEndian.AppendUint64(bytes, c.word(index))
	}
	return bytes[start%8:][:end-start]
}

// SplitMix64 of the index: https://prng.di.unimi.it/splitmix64.c
func (c Content) word(index uint64) uint64 {
	word := (index + (c.Seed<<32 | c.Seed>>32) + 1) * 0x9e3779b97f4a7c15
	word = (word ^ word>>30) * 0xbf58476d1ce4e5b9
	word = (word ^ word>>27) * 0x94d049bb133111eb
	return word ^ word>>31
}
