package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/core/postgres"
)

// OwnRate is what PostgreSQL alone does with the rows that a delivered message
// leaves behind, in messages a second.
type OwnRate struct {
	Single  float64 `json:"single_per_second"`
	Batched float64 `json:"batched_per_second"`
	// Batch is how many messages share a transaction in Batched.
	Batch int `json:"batch"`
}

// rows are the columns in which the messages of a sample differ.
type rows struct {
	digest, sealed, request, answer [][]byte
	receipt, data, hisNo            []string
	because                         string
}

// sample takes the newest delivered messages as the hub has written them.
func (s *stage) sample(ctx context.Context) (r rows, err error) {
	found, err := s.database.Query(ctx, `
		select m.digest, b.sealed, x.request, x.answer, m.receipt::text, e.data::text, h.his_no, a.because
		from hub.message m join hub.body b on b.message = m.id join hub.attempt a on a.message = m.id join hub.exchange x on x.message = m.id
		join hub.event e on e.message = m.id and e.type = 'message.delivered' join hub.his_no h on h.message = m.id
		order by m.id desc limit 1024`)
	if err != nil {
		return r, err
	}
	defer found.Close()
	for found.Next() {
		var digest, sealed, request, answer []byte
		var receipt, data, hisNo string
		if err := found.Scan(&digest, &sealed, &request, &answer, &receipt, &data, &hisNo, &r.because); err != nil {
			return r, err
		}
		r.digest, r.sealed, r.request, r.answer = append(r.digest, digest), append(r.sealed, sealed), append(r.request, request), append(r.answer, answer)
		r.receipt, r.data, r.hisNo = append(r.receipt, receipt), append(r.data, data), append(r.hisNo, hisNo)
	}
	return r, found.Err()
}

// write is everything that stays of a message, and its way through the queue. No
// lane, no lease, no update: the least that these tables could cost.
const write = `
	with i as materialized (
		select *, 'RX' || lpad(id::text, 8, '0') as key, 'V' || lpad(id::text, 8, '0') as lane, clock_timestamp() as now
		from unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::text[], $7::text[], $8::text[])
			as i(id, digest, sealed, request, answer, receipt, data, his_no)
	), message as (
		insert into hub.message (id, hospital, kind, key, lane, place, state, reason, receipt, digest, revision, accepted_at, decided_at, attempts)
		select id, 'dongshan', 'prescription.create', key, lane, id, 'delivered', $9, receipt::jsonb, digest, 1, now, now, 1 from i
	), body as (
		insert into hub.body (message, accepted_at, sealed) select id, now, sealed from i
	), queue as (
		insert into hub.queue (message, hospital, kind, key, lane, place, head, due, accepted_at)
		select id, 'dongshan', 'prescription.create', key, lane, id, true, now, now from i
	), his_no as (
		insert into hub.his_no (his_no, hospital, message) select his_no, 'dongshan', id from i
	), attempt as (
		insert into hub.attempt (message, number, fence, at, phase, step, connector, operation, outcome, rule, class, because, duration_us)
		select id, 1, 1, now, 'send', 'send', 'default', 'SavePrescription', 'ok', 'ok', '', $9, 21000 from i
	), exchange as (
		insert into hub.exchange (message, number, at, request, answer, stamp, serial, asked_at)
		select id, 1, now, request, answer, substr(digest, 1, 16), id, now from i
	)
	insert into hub.event (hospital, message, kind, key, type, data)
	select 'dongshan', id, 'prescription.create', key, 'message.delivered', data::jsonb from i`

// ownRate writes the sample over and over into an empty ledger of the same
// server, from 16 connections: one transaction a message, then one for a batch,
// as callers that are gathered share one.
func (s *stage) ownRate(ctx context.Context) (o OwnRate, err error) {
	r, err := s.sample(ctx)
	if err != nil {
		return o, fmt.Errorf("read a sample of the rows: %w", err)
	}
	url := s.cluster.URL("own")
	if err := postgres.Migrate(ctx, url); err != nil {
		return o, err
	}
	ledger, err := postgres.Open(ctx, postgres.Options{URL: url, KeyFile: filepath.Join(s.dir, "own.key"), CreateKey: true})
	if err != nil {
		return o, err
	}
	ledger.Close() // it has made the partitions
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return o, err
	}
	config.MaxConns, config.MinConns = inFlight, inFlight
	database, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return o, err
	}
	defer database.Close()

	var id atomic.Int64
	rate := func(batch int) (float64, error) {
		end, cancel := context.WithTimeout(ctx, 4*s.second())
		defer cancel()
		began := time.Now()
		var wrote atomic.Int64
		var failed error
		var once sync.Once
		var all sync.WaitGroup
		for range inFlight {
			all.Go(func() {
				for end.Err() == nil {
					if err := r.write(ctx, database, id.Add(int64(batch))-int64(batch)+1, batch); err != nil {
						once.Do(func() { failed = err })
						return
					}
					wrote.Add(int64(batch))
				}
			})
		}
		all.Wait()
		return float64(wrote.Load()) / time.Since(began).Seconds(), failed
	}
	if o.Single, err = rate(1); err != nil {
		return o, err
	}
	o.Batch = 64
	o.Batched, err = rate(o.Batch)
	return o, err
}

// write writes messages with the numbers from first on in one transaction.
func (r *rows) write(ctx context.Context, database *pgxpool.Pool, first int64, count int) error {
	ids := make([]int64, count)
	at := make([]int, count)
	for i := range ids {
		ids[i] = first + int64(i)
		at[i] = int(ids[i]) % len(r.digest)
	}
	b := &pgx.Batch{}
	b.Queue(write, ids, pick(r.digest, at), pick(r.sealed, at), pick(r.request, at), pick(r.answer, at), pick(r.receipt, at), pick(r.data, at), pick(r.hisNo, at), r.because)
	b.Queue(`delete from hub.queue where message = any($1)`, ids)
	return database.SendBatch(ctx, b).Close()
}

func pick[T any](from []T, at []int) []T {
	out := make([]T, len(at))
	for i, j := range at {
		out[i] = from[j]
	}
	return out
}
