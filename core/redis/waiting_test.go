package redis

import (
	"context"
	"fmt"
	"testing"
)

// A pipeline of any length goes through the embedded Redis: it answers while more is sent.
func TestALongPipelineGoesThroughTheEmbeddedOne(t *testing.T) {
	c := Embedded()
	defer c.Close()
	err := c.try(t.Context(), func(ctx context.Context) error {
		pipe := c.rdb.Pipeline()
		for i := range 500 {
			pipe.HSet(ctx, fmt.Sprint("key ", i), "field", i)
			pipe.HGetAll(ctx, fmt.Sprint("key ", i))
		}
		_, err := pipe.Exec(ctx)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
