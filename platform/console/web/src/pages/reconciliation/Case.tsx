import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Button, Card, Empty, Select, Skeleton, Table, Timeline, Typography } from 'antd'
import { Link, useParams } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import { useRights } from '../../app/session'
import { useAsk } from '../../parts/Ask'
import { Failed } from '../../parts/Failed'
import { Head } from '../../parts/Head'
import { Ago, Time } from '../../parts/Time'
import { State } from '../../parts/words'
import { Yuan } from '../../parts/Yuan'
import { Repair } from './Repair'
import { CaseState, parties, useReckoning } from './words'

type Entry = Schemas['NightEntry']

const owners = ['finance', 'operations', 'hospital_it'] as const

/** Case is one difference: what each side has, what is done about it, and who did what. */
export default function Case() {
  const id = Number(useParams().id)
  const { t, difference, type, owner, party, verb } = useReckoning()
  const { nameOf, may, me } = useRights()
  const queries = useQueryClient()
  const { ask, asking } = useAsk()
  const got = useQuery({
    queryKey: ['case', id],
    enabled: id > 0,
    queryFn: () => ok(api.GET('/v1/cases/{id}', { params: { path: { id } } })),
    refetchInterval: (q) => (q.state.data && ['approved', 'sent'].includes(q.state.data.repair?.state ?? '') ? 3000 : false),
  })
  if (!(id > 0)) return <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('cases.nosuch')} />
  if (got.isError) return <Failed error={got.error} again={() => void got.refetch()} />
  if (got.isPending) return <Skeleton active />
  const c = got.data
  const f = c.finding
  const changed = () => Promise.all(['case', 'cases'].map((k) => queries.invalidateQueries({ queryKey: [k] })))
  const ended = c.state === 'resolved' || c.state === 'written_off'
  const assign = (to: string) =>
    ask({
      title: t('assign.title', { who: owner(to) }),
      act: t('assign'),
      note: false,
      run: async () => {
        await ok(api.POST('/v1/cases/{id}/assign', { params: { path: { id } }, body: { owner: to } }))
        await changed()
      },
    })
  const noteIt = () =>
    ask({
      title: t('note.title', { n: c.id }),
      act: t('note'),
      note: true,
      run: async (note) => {
        await ok(api.POST('/v1/cases/{id}/notes', { params: { path: { id } }, body: { note } }))
        await changed()
      },
    })
  return (
    <>
      <Head
        title={t('case.title', { n: c.id, class: difference(c.class) })}
        about={
          <>
            {nameOf(c.hospital)} · <Link to={`/reconciliation/nights/${c.hospital}/${c.day}`}>{c.day}</Link> · <Link to={`/reconciliation?show=cases&hospital=${c.hospital}`}>{t('back.cases')}</Link>
          </>
        }
      >
        <CaseState state={c.state} />
        {may('hub:cases', c.hospital) && <Button onClick={noteIt}>{t('note')}</Button>}
      </Head>
      <Card size="small" style={{ marginBottom: 16 }}>
        <dl className="facts" style={{ maxWidth: 560 }}>
          <dt>{t('type')}</dt>
          <dd>{type(c.type)}</dd>
          <dt>{t('number')}</dt>
          <dd className="mono">{c.number}</dd>
          <dt>{t('amount')}</dt>
          <dd>
            <Yuan fen={c.amount} />
          </dd>
          <dt>{t('opened')}</dt>
          <dd>
            <Ago at={c.opened_at} />
          </dd>
          <dt>{t('owner')}</dt>
          <dd>
            {ended || !may('hub:cases', c.hospital) ? (
              owner(c.owner)
            ) : (
              <Select
                size="small"
                aria-label={t('owner')}
                value={c.owner}
                onChange={assign}
                style={{ minWidth: 130 }}
                options={[...new Set([...owners, c.owner, me?.name ?? ''])].filter((o) => o !== '').map((o) => ({ value: o, label: owner(o) }))}
              />
            )}
          </dd>
        </dl>
        {f.cause && <Typography.Paragraph style={{ marginTop: 8, marginBottom: 0 }}>{t('probably', { cause: f.cause })}</Typography.Paragraph>}
      </Card>
      <div className="sides" style={{ marginBottom: 16 }}>
        {parties.map((p) => (
          <Card key={p} size="small" title={party(p)}>
            <Entries entries={(p === 'channel' ? f.channel : p === 'ours' ? f.ours : f.his) ?? []} />
          </Card>
        ))}
      </div>
      <Repair of={c} changed={changed} />
      <Card size="small" title={t('trail')}>
        <Timeline
          items={(c.trail ?? []).map((s) => ({
            content: (
              <>
                <Time at={s.at} /> <strong>{verb(s.verb)}</strong> · {s.who}
                {s.note && <div style={{ overflowWrap: 'anywhere' }}>{s.note}</div>}
              </>
            ),
          }))}
        />
      </Card>
      {asking}
    </>
  )
}

/** Entries are what one side has in its books. */
function Entries({ entries }: { entries: Entry[] }) {
  const { t, type } = useReckoning()
  if (entries.length === 0) return <Typography.Text type="secondary">{t('nothing')}</Typography.Text>
  return (
    <Table<Entry>
      rowKey={(e) => [e.type, e.number, e.his_no, e.channel_no, e.row, e.at].join(' ')}
      size="small"
      pagination={false}
      dataSource={entries}
      scroll={{ x: 'max-content' }}
      columns={[
        { title: t('type'), render: (_, e) => (e.reversal ? t('reversal', { type: type(e.type) }) : type(e.type)) },
        { title: t('amount'), align: 'end', render: (_, e) => <Yuan fen={e.amount} /> },
        {
          title: t('numbers'),
          render: (_, e) => (
            <span className="mono">
              {[e.number, e.his_no, e.channel_no].filter(Boolean).map((n) => (
                <div key={n}>{n}</div>
              ))}
            </span>
          ),
        },
        { title: t('at'), render: (_, e) => <Time at={e.at} /> },
        ...(entries.some((e) => e.message)
          ? [
              {
                title: t('message'),
                render: (_: unknown, e: Entry) =>
                  e.message && (
                    <>
                      <Link to={`/messages/${e.message}`}>{e.message}</Link> {e.told && <State state={e.told} />}
                    </>
                  ),
              },
            ]
          : []),
      ]}
    />
  )
}
