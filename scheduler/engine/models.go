package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

const (
	// maxModels is how many models of an engine are known: what it lists after
	// them is left out.
	maxModels = 1024
	// maxModelName bounds a model's name, as clients can ask for it.
	maxModelName = 512
)

// Model is one that an engine serves.
type Model struct {
	ID     string
	Parent string // the base model of a LoRA adapter, else ""
	Owner  string // owned_by: most engines name themselves
	MaxLen int    // context length in tokens, 0 if not said
}

// IsCut says whether a list is as long as one can be: the engine may have named
// more.
func IsCut(models []Model) bool { return len(models) >= maxModels }

// Models asks the engine which models it serves, in its own order.
func (c *Client) Models(ctx context.Context) ([]Model, error) {
	return c.listModels(ctx, c.deadline(ctx))
}

func (c *Client) listModels(ctx context.Context, deadline time.Time) ([]Model, error) {
	if err := c.get(ctx, deadline, c.models); err != nil {
		return nil, err
	}
	models, err := parseModels(c.wire.body())
	if err != nil {
		return nil, fmt.Errorf("get %s%s: %w", c.origin, c.models.path, err)
	}
	return models, nil
}

// parseModels reads OpenAI's list of models, with the two fields that vLLM and
// SGLang add to it. The wire has bounded its size, encoding/json bounds depth.
func parseModels(body []byte) ([]Model, error) {
	var list struct {
		Data []struct {
			ID     string  `json:"id"`
			Parent string  `json:"parent"` // null leaves it ""
			Owner  string  `json:"owned_by"`
			MaxLen float64 `json:"max_model_len"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("%w: list of models: %w", ErrProtocol, err)
	}
	if list.Data == nil {
		return nil, fmt.Errorf("%w: list of models: no data", ErrProtocol)
	}
	list.Data = list.Data[:min(len(list.Data), maxModels)]
	models := make([]Model, 0, len(list.Data))
	for i, m := range list.Data {
		if m.ID == "" {
			return nil, fmt.Errorf("%w: list of models: data[%d] has no id", ErrProtocol, i)
		}
		for _, name := range []string{m.ID, m.Parent, m.Owner} {
			if len(name) > maxModelName {
				return nil, fmt.Errorf("%w: list of models: data[%d] has a name of %d bytes, want at most %d", ErrProtocol, i, len(name), maxModelName)
			}
		}
		if m.MaxLen < 0 || m.MaxLen > maxValue {
			m.MaxLen = 0
		}
		models = append(models, Model{ID: m.ID, Parent: m.Parent, Owner: m.Owner, MaxLen: int(m.MaxLen)})
	}
	return models, nil
}
