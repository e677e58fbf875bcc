// Package lru keeps the most recently used values of a bounded number, so that
// a cache cannot be filled up from outside.
package lru

import "container/list"

// Cache maps keys to values and forgets the least recently used one when it is
// full. Not safe for concurrent use: its owner locks, because it has more than
// the cache to keep consistent.
type Cache[K comparable, V any] struct {
	max     int
	entries map[K]*list.Element
	order   *list.List // most recently used first
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

// New returns a cache of at most limit values (at least 1).
func New[K comparable, V any](limit int) *Cache[K, V] {
	return &Cache[K, V]{max: max(limit, 1), entries: map[K]*list.Element{}, order: list.New()}
}

// Get returns the value of key and marks it used.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) {
	at, ok := c.entries[key]
	if !ok {
		return value, false
	}
	c.order.MoveToFront(at)
	return at.Value.(*entry[K, V]).value, true
}

// Put sets the value of key and marks it used; where that is one too many, the
// least recently used value goes.
func (c *Cache[K, V]) Put(key K, value V) {
	if at, ok := c.entries[key]; ok {
		at.Value.(*entry[K, V]).value = value
		c.order.MoveToFront(at)
		return
	}
	c.entries[key] = c.order.PushFront(&entry[K, V]{key, value})
	if len(c.entries) > c.max {
		c.drop(c.order.Back())
	}
}

// Delete forgets key.
func (c *Cache[K, V]) Delete(key K) {
	if at, ok := c.entries[key]; ok {
		c.drop(at)
	}
}

// DeleteFunc forgets every value that gone says is gone. It looks at all of
// them.
func (c *Cache[K, V]) DeleteFunc(gone func(K, V) bool) {
	for at := c.order.Front(); at != nil; {
		next := at.Next()
		if e := at.Value.(*entry[K, V]); gone(e.key, e.value) {
			c.drop(at)
		}
		at = next
	}
}

// Clear forgets everything.
func (c *Cache[K, V]) Clear() {
	clear(c.entries)
	c.order.Init()
}

// Len is how many values there are.
func (c *Cache[K, V]) Len() int { return len(c.entries) }

func (c *Cache[K, V]) drop(at *list.Element) {
	delete(c.entries, at.Value.(*entry[K, V]).key)
	c.order.Remove(at)
}
