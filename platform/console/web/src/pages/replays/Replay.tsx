import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { Alert, Button, Card, Progress, Segmented, Skeleton, Table } from 'antd'
import { useState } from 'react'
import { Link, useParams } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import { useRights } from '../../app/session'
import { useTexts } from '../../app/texts'
import { useAsk } from '../../parts/Ask'
import { Failed } from '../../parts/Failed'
import { Head } from '../../parts/Head'
import { Ago, Time } from '../../parts/Time'
import { useWords } from '../../parts/words'
import { Stand } from './Stand'
import en from './en.json'
import zh from './zh.json'

type Replay = Schemas['Replay']
type Item = Schemas['ReplayItem']
type Verb = 'approve' | 'pause' | 'resume' | 'cancel'

const over = (r: Replay) => r.state === 'done' || r.state === 'cancelled'
const told = (p: { delivered: number; parked: number; cancelled: number; skipped: number; refused: number }) => p.delivered + p.parked + p.cancelled + p.skipped + p.refused

/** Replay is one as it goes on. */
export default function Replay() {
  const id = Number(useParams().id)
  const got = useQuery({
    queryKey: ['replay', id],
    queryFn: () => ok(api.GET('/v1/replays/{id}', { params: { path: { id } } })),
    refetchInterval: (q) => (q.state.data && !over(q.state.data) ? 2000 : false),
  })
  if (got.isError) return <Failed error={got.error} again={() => void got.refetch()} />
  if (got.isPending) return <Skeleton active />
  return <Shown replay={got.data} />
}

function Shown({ replay: r }: { replay: Replay }) {
  const t = useTexts({ zh, en })
  const { word, t: words } = useWords()
  const { me, nameOf, may } = useRights()
  const queries = useQueryClient()
  const { ask, asking } = useAsk()
  const act = (verb: Verb) =>
    ask({
      title: t(`title.${verb}`, { n: r.id }),
      about: t(`about.${verb}`),
      act: t(verb),
      danger: verb === 'cancel',
      note: true,
      run: async (note) => {
        await ok(api.POST(`/v1/replays/{id}/${verb}`, { params: { path: { id: r.id } }, body: { note } }))
        await Promise.all(['replay', 'replays', 'replay-items'].map((k) => queries.invalidateQueries({ queryKey: [k] })))
      },
    })
  const verbs: Verb[] = r.state === 'proposed' ? ['approve', 'cancel'] : r.state === 'running' ? ['pause', 'cancel'] : r.state === 'paused' ? ['resume', 'cancel'] : r.state === 'listing' ? ['cancel'] : []
  const decides = r.parts.every((p) => may('hub:decide', p.hospital)) && may('hub:decide')
  const own = me !== null && r.created_by.includes(me.name)
  return (
    <>
      <Head
        title={
          <>
            {t('one', { n: r.id })} <Stand state={r.state} />
          </>
        }
        about={r.note}
      >
        {decides &&
          verbs.map((v) => (
            <Button key={v} type={v === 'approve' || v === 'resume' ? 'primary' : 'default'} danger={v === 'cancel'} onClick={() => act(v)}>
              {t(v)}
            </Button>
          ))}
      </Head>
      {r.state === 'proposed' && <Alert type="info" showIcon title={own ? t('second.other') : t('second')} style={{ marginBottom: 16 }} />}
      {r.paused_by && r.state === 'paused' && <Alert type="warning" showIcon title={r.paused_by === 'hub' ? t('stopped') : t('paused.by', { who: r.paused_by })} description={r.problem || undefined} style={{ marginBottom: 16 }} />}
      <Card size="small">
        <Progress percent={r.total.items > 0 ? Math.floor((told(r.total) * 100) / r.total.items) : 0} aria-label={t('progress')} />
        <dl className="facts" aria-live="polite">
          <dt>{t('items')}</dt>
          <dd>{r.total.items}</dd>
          <dt>{t('outcome.delivered')}</dt>
          <dd>{r.total.delivered}</dd>
          <dt>{t('outcome.waiting')}</dt>
          <dd>{r.total.waiting}</dd>
          <dt>{t('outcome.released')}</dt>
          <dd>{r.total.on_way}</dd>
          <dt>{t('outcome.parked')}</dt>
          <dd>{r.total.parked}</dd>
          <dt>{t('skipped')}</dt>
          <dd>{r.total.skipped + r.total.refused + r.total.cancelled}</dd>
          <dt>{t('rate')}</dt>
          <dd>{t('rate.of', { rate: r.rate, n: r.concurrency, stop: r.stop_after })}</dd>
          <dt>{t('money')}</dt>
          <dd>{r.money ? t('yes') : t('no')}</dd>
          <dt>{t('by')}</dt>
          <dd>
            {r.created_by} <Ago at={r.created_at} />
          </dd>
          <dt>{t('approved')}</dt>
          <dd>{r.approved_by || '–'}</dd>
          {r.ended_at && (
            <>
              <dt>{t('ended')}</dt>
              <dd>
                <Time at={r.ended_at} />
              </dd>
            </>
          )}
        </dl>
      </Card>
      <Card size="small" style={{ marginTop: 16 }} title={<h2 style={{ fontSize: 16, margin: 0 }}>{t('parts')}</h2>}>
        <Table<Schemas['ReplayPart']>
          rowKey="hospital"
          size="small"
          dataSource={r.parts}
          pagination={{ pageSize: 20, hideOnSinglePage: true }}
          scroll={{ x: 'max-content' }}
          columns={[
            { title: words('hospital'), render: (_, p) => nameOf(p.hospital) },
            { title: t('items'), render: (_, p) => p.items },
            { title: t('outcome.delivered'), render: (_, p) => p.delivered },
            { title: t('outcome.waiting'), render: (_, p) => p.waiting },
            { title: t('outcome.parked'), render: (_, p) => p.parked },
            { title: t('stopped.why'), render: (_, p) => p.stopped },
          ]}
        />
      </Card>
      <Items replay={r} say={(k) => word('kind', k)} />
      {asking}
    </>
  )
}

const outcomes = ['waiting', 'released', 'delivered', 'parked', 'cancelled', 'skipped', 'refused'] as const

/** Items are the messages, with what became of each. */
function Items({ replay: r, say }: { replay: Replay; say: (kind: string) => string }) {
  const t = useTexts({ zh, en })
  const { t: words } = useWords()
  const [of, setOf] = useState('')
  const list = useInfiniteQuery({
    queryKey: ['replay-items', r.id, of, told(r.total), r.total.on_way],
    initialPageParam: 0,
    queryFn: ({ pageParam }) => ok(api.GET('/v1/replays/{id}/items', { params: { path: { id: r.id }, query: { limit: 50, ...(of ? { outcome: of as (typeof outcomes)[number] } : {}), ...(pageParam ? { after: pageParam } : {}) } } })),
    getNextPageParam: (last) => last.next || undefined,
    placeholderData: (before) => before,
  })
  return (
    <Card size="small" style={{ marginTop: 16 }} title={<h2 style={{ fontSize: 16, margin: 0 }}>{t('messages')}</h2>}>
      <Segmented style={{ marginBottom: 12, maxWidth: '100%', overflowX: 'auto' }} value={of} onChange={setOf} options={[{ value: '', label: words('any') }, ...outcomes.map((o) => ({ value: o as string, label: t(`outcome.${o}`) }))]} />
      {list.isError ? (
        <Failed error={list.error} again={() => void list.refetch()} />
      ) : (
        <Table<Item>
          rowKey="message"
          size="small"
          loading={list.isPending}
          dataSource={(list.data?.pages ?? []).flatMap((p) => p.items)}
          pagination={false}
          scroll={{ x: 'max-content' }}
          columns={[
            { title: t('message'), render: (_, i) => <Link to={`/messages/${i.message}`}>{i.message}</Link> },
            { title: words('kind'), render: (_, i) => say(i.kind) },
            { title: t('key'), render: (_, i) => <span className="mono">{i.key}</span> },
            { title: t('outcome'), render: (_, i) => t(`outcome.${i.outcome}`) },
            { title: t('why'), render: (_, i) => <span style={{ display: 'inline-block', maxWidth: 420, whiteSpace: 'normal' }}>{i.why}</span> },
            { title: t('known'), render: (_, i) => <Time at={i.known_at ?? null} /> },
          ]}
        />
      )}
      {list.hasNextPage && (
        <Button style={{ marginTop: 12 }} onClick={() => void list.fetchNextPage()} loading={list.isFetchingNextPage}>
          {words('more')}
        </Button>
      )}
    </Card>
  )
}
