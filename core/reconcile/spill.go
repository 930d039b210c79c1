package reconcile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
)

// sorter sorts records, a key and what belongs to it, by (key, rest), so that
// the order of arrival never shows. What is more than a block goes to a file
// that has no name any more: the end of the process, however sudden, removes it.
type sorter struct {
	desk  *desk
	fresh block
	// writing is the block that is being sorted and written in the background.
	writing chan written
	file    *os.File
	size    int64
	runs    []span
	n       int64
	sealed  bool
}

// desk is what all sorters of one comparison share.
type desk struct {
	chunk  int // records in a block
	folder string
	free   []block
	all    []*sorter
}

// blockBytes bounds a block whose records are unusually long.
const blockBytes = 24 << 20

type block struct {
	arena []byte
	refs  []ref
}

type ref struct {
	// prefix is the first 8 bytes of the key behind what all keys of the block share.
	prefix       uint64
	at, key, all uint32 // offset in the arena, length of the key, of the record
}

type span struct{ from, to int64 }

type written struct {
	block block
	run   span
	err   error
}

func (b *desk) sorter() *sorter {
	s := &sorter{desk: b}
	b.all = append(b.all, s)
	return s
}

// close gives all memory and files back.
func (b *desk) close() {
	for _, s := range b.all {
		s.close()
	}
}

func (s *sorter) add(key, rest []byte) error {
	if s.fresh.refs == nil {
		s.fresh = s.desk.take()
	}
	b := &s.fresh
	b.refs = append(b.refs, ref{at: uint32(len(b.arena)), key: uint32(len(key)), all: uint32(len(key) + len(rest))}) //nolint:gosec // a block is far smaller than 4 GB
	b.arena = append(append(b.arena, key...), rest...)
	s.n++
	if len(b.refs) >= s.desk.chunk || len(b.arena) >= blockBytes {
		return s.spill()
	}
	return nil
}

func (b *desk) take() block {
	if n := len(b.free); n > 0 {
		k := b.free[n-1]
		b.free = b.free[:n-1]
		return k
	}
	return block{refs: make([]ref, 0, 64)}
}

func (b *desk) give(k block) {
	if k.refs != nil && len(b.free) < 2 {
		b.free = append(b.free, block{k.arena[:0], k.refs[:0]})
	}
}

// spill has the fresh block sorted and written while the next one fills.
func (s *sorter) spill() error {
	if err := s.wait(); err != nil {
		return err
	}
	if s.file == nil {
		f, err := os.CreateTemp(s.desk.folder, "hishub-books-*")
		if err != nil {
			return fmt.Errorf("sort books: %w; is the folder for spilled books writable?", err)
		}
		s.file = f
		if err := os.Remove(f.Name()); err != nil {
			return fmt.Errorf("sort books: %w", err)
		}
	}
	k, f, at := s.fresh, s.file, s.size
	s.fresh = block{}
	done := make(chan written, 1)
	s.writing = done
	go func() {
		k.sort()
		to, err := k.write(f, at)
		done <- written{k, span{at, to}, err}
	}()
	return nil
}

func (s *sorter) wait() error {
	if s.writing == nil {
		return nil
	}
	w := <-s.writing
	s.writing = nil
	s.desk.give(w.block)
	if w.err != nil {
		return fmt.Errorf("write sorted books: %w; is there room in the folder for spilled books?", w.err)
	}
	s.runs, s.size = append(s.runs, w.run), w.run.to
	return nil
}

// seal ends adding; from then on the sorter can be read, as often as one likes.
func (s *sorter) seal() error {
	if s.sealed {
		return nil
	}
	s.sealed = true
	if s.file == nil {
		s.fresh.sort()
		return nil
	}
	if len(s.fresh.refs) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	return s.wait()
}

func (s *sorter) close() {
	_ = s.wait()
	s.desk.give(s.fresh)
	s.fresh = block{}
	if s.file != nil {
		_ = s.file.Close() // it has no name and nobody reads it again
		s.file = nil
	}
	s.runs = nil
}

func (b *block) key(r ref) []byte  { return b.arena[r.at : r.at+r.key] }
func (b *block) rest(r ref) []byte { return b.arena[r.at+r.key : r.at+r.all] }

func (b *block) sort() {
	if len(b.refs) < 2 {
		return
	}
	shared := b.key(b.refs[0])
	for _, r := range b.refs {
		k := b.key(r)
		n := min(len(k), len(shared))
		for i := range n {
			if k[i] != shared[i] {
				n = i
				break
			}
		}
		shared = shared[:n]
	}
	for i := range b.refs {
		var eight [8]byte
		copy(eight[:], b.key(b.refs[i])[len(shared):])
		b.refs[i].prefix = binary.BigEndian.Uint64(eight[:])
	}
	slices.SortFunc(b.refs, func(x, y ref) int {
		if x.prefix != y.prefix {
			if x.prefix < y.prefix {
				return -1
			}
			return 1
		}
		if c := bytes.Compare(b.key(x), b.key(y)); c != 0 {
			return c
		}
		return bytes.Compare(b.rest(x), b.rest(y))
	})
}

// write puts the records into a file from an offset on: two lengths, then the bytes.
func (b *block) write(f io.WriterAt, at int64) (end int64, err error) {
	buf := make([]byte, 0, 256<<10)
	flush := func() {
		if err == nil {
			_, err = f.WriteAt(buf, at)
			at += int64(len(buf))
			buf = buf[:0]
		}
	}
	for _, r := range b.refs {
		if len(buf)+int(r.all)+2*binary.MaxVarintLen32 > cap(buf) {
			flush()
		}
		buf = binary.AppendUvarint(buf, uint64(r.key))
		buf = binary.AppendUvarint(buf, uint64(r.all-r.key))
		buf = append(buf, b.arena[r.at:r.at+r.all]...)
	}
	flush()
	return at, err
}

// cursor walks over the records of a sorter in order. key and rest are valid
// until the next step.
type cursor struct {
	key, rest []byte
	// live is false at the end.
	live bool
	heap []*reader
}

// reader is one sorted run, in memory or in the file.
type reader struct {
	key, rest []byte
	block     *block
	i         int
	file      io.ReaderAt
	at, end   int64
	buf       []byte // what is read and not used yet
	room      []byte
}

// readAhead is how many bytes all runs of a cursor hold together, about.
const readAhead = 2 << 20

// open reads from the start; the cursor stands on the first record.
func (s *sorter) open() (*cursor, error) {
	c := &cursor{}
	if s == nil {
		return c, nil
	}
	if s.file == nil {
		c.heap = []*reader{{block: &s.fresh}}
	}
	for _, r := range s.runs {
		room := min(max(readAhead/len(s.runs), 4<<10), 128<<10)
		c.heap = append(c.heap, &reader{file: s.file, at: r.from, end: r.to, room: make([]byte, room)})
	}
	alive := c.heap[:0]
	for _, r := range c.heap {
		ok, err := r.next()
		if err != nil {
			return nil, err
		}
		if ok {
			alive = append(alive, r)
		}
	}
	c.heap = alive
	for i := len(c.heap)/2 - 1; i >= 0; i-- {
		c.sink(i)
	}
	c.show()
	return c, nil
}

func (c *cursor) show() {
	c.live = len(c.heap) > 0
	c.key, c.rest = nil, nil
	if c.live {
		c.key, c.rest = c.heap[0].key, c.heap[0].rest
	}
}

// next steps to the next record.
func (c *cursor) next() error {
	ok, err := c.heap[0].next()
	if err != nil {
		return err
	}
	if !ok {
		last := len(c.heap) - 1
		c.heap[0] = c.heap[last]
		c.heap = c.heap[:last]
	}
	c.sink(0)
	c.show()
	return nil
}

// is reports whether the cursor stands on that key.
func (c *cursor) is(key []byte) bool { return c.live && bytes.Equal(c.key, key) }

func (c *cursor) sink(i int) {
	for {
		least := i
		for _, k := range [2]int{2*i + 1, 2*i + 2} {
			if k < len(c.heap) && before(c.heap[k].key, c.heap[k].rest, c.heap[least].key, c.heap[least].rest) {
				least = k
			}
		}
		if least == i {
			return
		}
		c.heap[i], c.heap[least] = c.heap[least], c.heap[i]
		i = least
	}
}

func before(key, rest, otherKey, otherRest []byte) bool {
	if c := bytes.Compare(key, otherKey); c != 0 {
		return c < 0
	}
	return bytes.Compare(rest, otherRest) < 0
}

func (r *reader) next() (bool, error) {
	if r.block != nil {
		if r.i == len(r.block.refs) {
			return false, nil
		}
		f := r.block.refs[r.i]
		r.key, r.rest = r.block.key(f), r.block.rest(f)
		r.i++
		return true, nil
	}
	for {
		k, n := binary.Uvarint(r.buf)
		if n > 0 {
			p, m := binary.Uvarint(r.buf[n:])
			if all := n + m + int(k+p); m > 0 && all <= len(r.buf) { //nolint:gosec // we wrote these lengths
				r.key, r.rest = r.buf[n+m:n+m+int(k)], r.buf[n+m+int(k):all] //nolint:gosec // the same
				r.buf = r.buf[all:]
				return true, nil
			}
		}
		if r.at == r.end {
			if len(r.buf) > 0 {
				return false, fmt.Errorf("read sorted books: %w", io.ErrUnexpectedEOF)
			}
			return false, nil
		}
		if err := r.fill(); err != nil {
			return false, err
		}
	}
}

// fill reads on behind what is left.
func (r *reader) fill() error {
	if len(r.buf) == len(r.room) {
		r.room = make([]byte, 2*len(r.room)) // one record is longer than the room
	}
	left := copy(r.room, r.buf)
	n := int(min(int64(len(r.room)-left), r.end-r.at))
	if _, err := r.file.ReadAt(r.room[left:left+n], r.at); err != nil {
		return fmt.Errorf("read sorted books: %w", err)
	}
	r.at += int64(n)
	r.buf = r.room[:left+n]
	return nil
}
