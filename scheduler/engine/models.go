package engine

import (
	"context"
	"encoding/json"
	"fmt"
)

// Model is one that an engine serves.
type Model struct {
	ID     string
	Parent string // the base model of a LoRA adapter, else ""
	MaxLen int    // context length in tokens, 0 if not said
}

// Models asks the engine which models it serves, in its own order.
func (c *Client) Models(ctx context.Context) ([]Model, error) {
	if err := c.get(ctx, c.deadline(ctx), c.models); err != nil {
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
			MaxLen float64 `json:"max_model_len"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("%w: list of models: %w", ErrProtocol, err)
	}
	if list.Data == nil {
		return nil, fmt.Errorf("%w: list of models: no data", ErrProtocol)
	}
	models := make([]Model, 0, len(list.Data))
	for i, m := range list.Data {
		if m.ID == "" {
			return nil, fmt.Errorf("%w: list of models: data[%d] has no id", ErrProtocol, i)
		}
		if m.MaxLen < 0 || m.MaxLen > maxValue {
			m.MaxLen = 0
		}
		models = append(models, Model{ID: m.ID, Parent: m.Parent, MaxLen: int(m.MaxLen)})
	}
	return models, nil
}
