import { useQuery } from '@tanstack/react-query'
import { Alert, Button, Card, Empty, Select, Skeleton, Table, Typography } from 'antd'
import { useState } from 'react'
import { Link, useParams, useSearchParams } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import { useRights } from '../../app/session'
import { Export, type Field } from '../../parts/Export'
import { Failed } from '../../parts/Failed'
import { Head } from '../../parts/Head'
import { Time } from '../../parts/Time'
import { Yuan } from '../../parts/Yuan'
import { differences, NightState, parties, useReckoning } from './words'

type Finding = Schemas['Finding']
type Change = Schemas['Change']
type Line = Schemas['Line']

const isDifference = (c: string) => (differences as readonly string[]).includes(c)

/** Night is one day of a hospital: everybody's totals, and what does not agree. */
export default function Night() {
  const { hospital = '', day = '' } = useParams()
  const { t, difference, type } = useReckoning()
  const { nameOf, may } = useRights()
  const [address, setAddress] = useSearchParams()
  const run = Number(address.get('run') ?? 0)
  const [all, setAll] = useState(false)
  const got = useQuery({
    queryKey: ['night', hospital, day, run],
    queryFn: () => ok(api.GET('/v1/hospitals/{hospital}/nights/{day}', { params: { path: { hospital, day }, query: run ? { run } : {} } })),
    refetchInterval: (q) => (q.state.data?.state === 'running' ? 3000 : false),
  })
  const runs = useQuery({
    queryKey: ['nights', hospital, day],
    queryFn: async () => (await ok(api.GET('/v1/hospitals/{hospital}/nights', { params: { path: { hospital }, query: { day, limit: 50 } } }))).nights ?? [],
  })
  const cases = useQuery({
    queryKey: ['cases', hospital, day],
    enabled: may('hub:cases', hospital),
    queryFn: async () => (await ok(api.GET('/v1/cases', { params: { query: { hospital, day, limit: 200 } } }))).cases ?? [],
  })
  if (got.isError) return <Failed error={got.error} again={() => void got.refetch()} />
  if (got.isPending) return <Skeleton active />
  const n = got.data
  const caseOf = (f: Finding) => cases.data?.find((c) => c.type === f.type && c.number === f.number)
  const findings = (n.findings ?? []).filter((f) => all || isDifference(f.class))
  const fields: Field<Finding>[] = [
    { title: t('class'), of: (f) => difference(f.class) },
    { title: t('type'), of: (f) => type(f.type) },
    { title: t('number'), of: (f) => f.number },
    { title: t('amount'), of: (f) => f.amount / 100 },
    { title: t('cause'), of: (f) => f.cause },
    { title: t('case'), of: (f) => caseOf(f)?.id },
  ]
  const report = (ending: string) => `/v1/hospitals/${encodeURIComponent(hospital)}/reports/${day}.${ending}`
  return (
    <>
      <Head title={t('night', { hospital: nameOf(hospital), day })} about={<Link to={`/reconciliation?hospital=${hospital}`}>{t('back.nights')}</Link>}>
        <Select
          aria-label={t('run.no')}
          value={n.run}
          onChange={(v) => setAddress({ run: String(v) })}
          options={(runs.data ?? [n]).map((r) => ({ value: r.run, label: t(r.closed ? 'run.closed' : 'run.n', { n: r.run }) }))}
        />
        <Button href={report('xlsx')} download>{t('report.xlsx')}</Button>
        <Button href={report('zip')} download>{t('report.csv')}</Button>
        <Button href={report('html')} target="_blank" rel="noreferrer">{t('report.html')}</Button>
      </Head>
      <div className="row" style={{ marginBottom: 12 }}>
        <NightState state={n.state} closed={n.closed} />
        <Time at={n.started} />
        <Typography.Text type="secondary">
          {n.who} {n.detail === 'totals' ? t('detail.totals') : n.detail === 'full' ? t('detail.full') : ''}
        </Typography.Text>
      </div>
      {n.problem && <Alert type="warning" showIcon title={n.problem} description={n.state === 'waiting' ? t('waiting.do') : undefined} style={{ marginBottom: 16 }} />}
      {n.state === 'done' && n.differences === 0 && <Alert type="success" showIcon title={t('agree')} style={{ marginBottom: 16 }} />}
      <Card size="small" title={t('totals')} style={{ marginBottom: 16 }}>
        <Totals lines={n.lines ?? []} />
      </Card>
      <Card size="small" title={t('byclass')} style={{ marginBottom: 16 }}>
        <div className="row">
          {Object.entries(n.counts ?? {}).map(([c, k]) => (
            <span key={c} style={{ marginInlineEnd: 16 }}>
              {difference(c)} <strong>{k}</strong> (<Yuan fen={n.amounts?.[c] ?? 0} />)
            </span>
          ))}
        </div>
      </Card>
      <div className="row" style={{ marginBottom: 8 }}>
        <Typography.Title level={2} style={{ fontSize: 18, margin: 0 }}>
          {t('differences')} ({n.differences})
        </Typography.Title>
        <Button size="small" onClick={() => setAll(!all)}>{all ? t('show.differences') : t('show.all')}</Button>
        <div className="grow" />
        <Export name={`night-${hospital}-${day}`} fields={fields} rows={findings} />
      </div>
      <Table<Finding>
        rowKey={(f) => f.type + ' ' + f.number + ' ' + f.class}
        size="small"
        dataSource={findings}
        pagination={{ pageSize: 50, hideOnSinglePage: true, showSizeChanger: false }}
        scroll={{ x: 'max-content' }}
        locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={n.state === 'done' ? t('agree') : t('notyet')} /> }}
        columns={[
          { title: t('class'), render: (_, f) => difference(f.class) },
          { title: t('type'), render: (_, f) => type(f.type) },
          { title: t('number'), render: (_, f) => <span className="mono">{f.number}</span> },
          { title: t('amount'), align: 'end', render: (_, f) => <Yuan fen={f.amount} /> },
          { title: t('cause'), render: (_, f) => <span style={{ display: 'inline-block', maxWidth: 360, whiteSpace: 'normal' }}>{f.cause}</span> },
          {
            title: t('case'),
            render: (_, f) => {
              const c = caseOf(f)
              return c && <Link to={`/reconciliation/cases/${c.id}`}>{t('case.no', { n: c.id })}</Link>
            },
          },
        ]}
      />
      {(n.changes ?? []).length > 0 && (
        <Card size="small" title={t('changes', { n: n.against ?? 0 })} style={{ marginTop: 16 }}>
          <Table<Change>
            rowKey={(c) => c.type + ' ' + c.number + ' ' + c.class + String(c.gone)}
            size="small"
            dataSource={n.changes ?? []}
            pagination={{ pageSize: 20, hideOnSinglePage: true, showSizeChanger: false }}
            scroll={{ x: 'max-content' }}
            columns={[
              { title: t('change'), render: (_, c) => (c.gone ? t('change.gone') : t('change.new')) },
              { title: t('class'), render: (_, c) => difference(c.class) },
              { title: t('type'), render: (_, c) => type(c.type) },
              { title: t('number'), render: (_, c) => <span className="mono">{c.number}</span> },
              { title: t('amount'), align: 'end', render: (_, c) => <Yuan fen={c.amount} /> },
            ]}
          />
        </Card>
      )}
      {(n.statements ?? []).length > 0 && (
        <Card size="small" title={t('statements')} style={{ marginTop: 16 }}>
          {(n.statements ?? []).map((s) => (
            <div key={s.id}>
              <Party of={s.party} /> · {s.source} · {t('entries', { n: s.entries })} · <Yuan fen={s.amount} /> · <Time at={s.taken} />
            </div>
          ))}
        </Card>
      )}
    </>
  )
}

function Party({ of }: { of: string }) {
  const { party } = useReckoning()
  return <>{party(of)}</>
}

interface Total {
  key: string
  channel: string
  type: string
  by: Record<string, { count: number; fen: number }>
}

/** Totals puts the parties' counts and sums beside one another. */
function Totals({ lines }: { lines: Line[] }) {
  const { t, party, type, channel } = useReckoning()
  const all = new Map<string, Total>()
  for (const l of lines) {
    const key = l.channel + ' ' + l.type
    const row = all.get(key) ?? { key, channel: l.channel, type: l.type, by: {} }
    const sum = row.by[l.party] ?? { count: 0, fen: 0 }
    row.by[l.party] = { count: sum.count + l.count, fen: sum.fen + l.amount }
    all.set(key, row)
  }
  return (
    <Table<Total>
      rowKey="key"
      size="small"
      pagination={false}
      dataSource={[...all.values()]}
      scroll={{ x: 'max-content' }}
      locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('totals.none')} /> }}
      columns={[
        { title: t('channel'), render: (_, r) => channel(r.channel) },
        { title: t('type'), render: (_, r) => type(r.type) },
        ...parties.map((p) => ({
          title: party(p),
          align: 'end' as const,
          render: (_: unknown, r: Total) => {
            const s = r.by[p]
            return s ? (
              <>
                {t('entries', { n: s.count })} · <Yuan fen={s.fen} />
              </>
            ) : (
              '–'
            )
          },
        })),
      ]}
    />
  )
}
