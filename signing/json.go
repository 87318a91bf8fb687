package signing

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"
)

// members reads data as one JSON object that has each key once, with nothing behind it. What the values hold is not
// looked at.
func members(data []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return nil, fmt.Errorf("not a JSON object")
	}
	found := make(map[string]json.RawMessage)
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string) // the decoder takes nothing else for a key
		if _, twice := found[key]; twice {
			return nil, fmt.Errorf("JSON key %q is there twice", key)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		found[key] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("data behind the JSON value")
	}
	return found, nil
}

// record reads an object of which all keys are known into the variables that fields point to. A key that is spelled
// in another way is an unknown one. Those that are missing, or null, leave their variable as it is.
func record(data []byte, fields map[string]any) error {
	found, err := members(data)
	if err != nil {
		return err
	}
	for key, value := range found {
		field, ok := fields[key]
		if !ok {
			return fmt.Errorf("unknown JSON key %q", key)
		}
		if err := json.Unmarshal(value, field); err != nil {
			return fmt.Errorf("JSON key %q: %w", key, err)
		}
	}
	return nil
}

// words reads an object whose values are strings. Others are left out: nothing is asked of them.
func words(data json.RawMessage) (map[string]string, error) {
	if len(data) == 0 || string(data) == "null" {
		return nil, nil
	}
	found, err := members(data)
	if err != nil {
		return nil, err
	}
	claims := make(map[string]string)
	for key, value := range found {
		var s string
		if value[0] == '"' && json.Unmarshal(value, &s) == nil {
			claims[key] = s
		}
	}
	return claims, nil
}

// encode is json.Marshal without the escapes that are for web pages, which would make of a "<" six bytes.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// maxNesting is how deep objects and lists may be in each other.
const maxNesting = 200

// checkKeys holds that no object in data, which is well-formed JSON, has a key twice: of two values one reader takes
// the first, and another the last.
func checkKeys(data []byte) error {
	type level struct {
		keys  map[string]bool // nil: a list
		value bool            // the next token is one, or begins one
	}
	var open []level
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if n := len(open); n > 0 && open[n-1].keys != nil && token != json.Delim('}') {
			top := &open[n-1]
			if key, _ := token.(string); !top.value && top.keys[key] {
				return fmt.Errorf("JSON key %q is there twice", key)
			} else if !top.value {
				top.keys[key] = true
			}
			top.value = !top.value
		}
		switch token {
		case json.Delim('{'):
			open = append(open, level{keys: make(map[string]bool)})
		case json.Delim('['):
			open = append(open, level{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
		if len(open) > maxNesting {
			return fmt.Errorf("JSON nested deeper than %d", maxNesting)
		}
	}
}
