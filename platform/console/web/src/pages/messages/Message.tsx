import { useQuery } from '@tanstack/react-query'
import { Alert, Card, Descriptions, Skeleton, Table, Tag, Timeline, Typography } from 'antd'
import { Link, useParams } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import { useRights } from '../../app/session'
import { useTexts } from '../../app/texts'
import { Decide } from '../../parts/Decide'
import { Failed } from '../../parts/Failed'
import { Head } from '../../parts/Head'
import { Ago, Time } from '../../parts/Time'
import { Class, State, useWords } from '../../parts/words'
import { Compare } from './Compare'
import { Exchange } from './Exchange'
import { Unmask } from './Unmask'
import en from './en.json'
import zh from './zh.json'

type Trace = Schemas['MessageTrace']
type Attempt = Schemas['Attempt']

/** Message is one message through all its hops. */
export default function Message() {
  const id = Number(useParams().id)
  const trace = useQuery({
    queryKey: ['message', id],
    queryFn: () => ok(api.GET('/v1/messages/{id}/trace', { params: { path: { id } } })),
    // what is on its way is looked at again
    refetchInterval: (q) => (q.state.data && ['queued', 'sending'].includes(q.state.data.state) ? 3000 : false),
  })
  if (trace.isError) return <Failed error={trace.error} again={() => void trace.refetch()} />
  if (trace.isPending) return <Skeleton active />
  return <Shown trace={trace.data} />
}

function Shown({ trace: m }: { trace: Trace }) {
  const t = useTexts({ zh, en })
  const { word } = useWords()
  const { may, nameOf } = useRights()
  const title = (
    <>
      {word('kind', m.kind)} <span className="mono">{m.key}</span> <State state={m.state} />
      <Class of={m.class} />
    </>
  )
  return (
    <>
      <Head title={title} about={`${nameOf(m.hospital)} · ${m.kind} · ${m.id}`}>
        {may('hub:unmask', m.hospital) && <Unmask id={m.id} />}
        <Decide message={m} />
      </Head>
      {m.state === 'parked' && <Alert type="warning" showIcon title={m.reason} description={m.words ? t('his.words', { words: m.words }) : undefined} style={{ marginBottom: 16 }} />}
      {m.waits && <Alert type="info" showIcon title={m.waits.text} style={{ marginBottom: 16 }} />}
      <Card size="small" style={{ marginBottom: 16 }}>
        <Descriptions
          size="small"
          column={{ xs: 1, md: 2, xl: 3 }}
          items={[
            { key: 'accepted', label: t('accepted'), children: <Time at={m.accepted_at} /> },
            ...(m.decided_at ? [{ key: 'decided', label: t('decided'), children: <Time at={m.decided_at} /> }] : []),
            ...(m.due ? [{ key: 'due', label: t('due'), children: <Time at={m.due} /> }] : []),
            { key: 'lane', label: t('lane'), children: <span className="mono">{m.lane}</span> },
            { key: 'attempts', label: t('attempts'), children: m.attempts },
            ...(m.revision ? [{ key: 'revision', label: t('revision'), children: m.revision }] : []),
            ...(m.receipt?.his_no ? [{ key: 'his_no', label: t('his_no'), children: <span className="mono">{m.receipt.his_no}</span> }] : []),
            ...(m.blocked_by ? [{ key: 'blocked', label: t('blocked_by'), children: <Link to={`/messages/${m.blocked_by}`}>{m.blocked_by}</Link> }] : []),
            ...(m.reason && m.state !== 'parked' ? [{ key: 'reason', label: t('reason'), children: m.reason }] : []),
            ...(m.entry ? [{ key: 'money', label: t('money'), children: t('yuan', { n: (m.entry.amount / 100).toFixed(2) }) }] : []),
          ]}
        />
      </Card>
      <Attempts trace={m} />
      <div className="sides" style={{ marginTop: 16 }}>
        <Hops trace={m} />
        <Beside trace={m} />
      </div>
    </>
  )
}

function Attempts({ trace: m }: { trace: Trace }) {
  const t = useTexts({ zh, en })
  const { word } = useWords()
  const numbers = [...new Set(m.history.map((a) => a.number))]
  return (
    <Card size="small" title={<h2 style={{ fontSize: 16, margin: 0 }}>{t('attempts.title')}</h2>} extra={numbers.length > 1 && <Compare id={m.id} numbers={numbers} />}>
      <Table<Attempt>
        rowKey={(a) => `${a.number}${a.late ? 'late' : ''}`}
        size="small"
        dataSource={[...m.history].reverse()}
        pagination={{ pageSize: 10, hideOnSinglePage: true }}
        scroll={{ x: 900 }}
        locale={{ emptyText: t('attempts.none') }}
        expandable={{ expandedRowRender: (a) => <Exchange id={m.id} number={a.number} />, ...(m.history.length > 0 ? { defaultExpandedRowKeys: [`${m.history.at(-1)?.number}${m.history.at(-1)?.late ? 'late' : ''}`] } : {}) }}
        columns={[
          { title: '#', render: (_, a) => a.number },
          { title: t('at'), render: (_, a) => <Time at={a.at} /> },
          { title: t('phase'), render: (_, a) => <span style={{ whiteSpace: 'nowrap' }}>{t(`phase.${a.phase}`)}{a.late && <Tag>{t('late')}</Tag>}</span> },
          { title: t('operation'), render: (_, a) => <span className="mono">{[a.step, a.operation].filter(Boolean).join(' · ')}</span> },
          { title: t('outcome'), render: (_, a) => a.class ? <Class of={a.class} /> : word('outcome', a.outcome) },
          { title: t('because'), render: (_, a) => <span>{a.because}{a.words && <Typography.Text type="secondary"> · {t('his.words', { words: a.words })}</Typography.Text>}</span> },
          { title: t('took'), align: 'end', render: (_, a) => Math.round(a.ms) },
        ]}
      />
    </Card>
  )
}

/** Hops are what happened, in order: accepted, told, decided, heard. */
function Hops({ trace: m }: { trace: Trace }) {
  const t = useTexts({ zh, en })
  const hops = [
    { at: m.accepted_at, what: t('hop.accepted') },
    ...m.history.map((a) => ({ at: a.at, what: t('hop.attempt', { n: a.number, because: a.because }) })),
    ...m.decisions.map((d) => ({ at: d.at, what: t('hop.decision', { who: d.who, verb: d.verb, note: d.note ?? '' }) })),
    ...m.events.map((e) => ({ at: e.at, what: t('hop.event', { type: e.type }) })),
    ...m.inbound.map((i) => ({ at: i.arrived_at, what: t('hop.inbound', { kind: i.kind || '' }) })),
  ].sort((a, b) => a.at.localeCompare(b.at))
  return (
    <Card size="small" title={<h2 style={{ fontSize: 16, margin: 0 }}>{t('hops')}</h2>}>
      <Timeline
        items={hops.map((h, i) => ({
          key: i,
          content: (
            <>
              <Typography.Text type="secondary">
                <Time at={h.at} />
              </Typography.Text>
              <br />
              {h.what}
            </>
          ),
        }))}
      />
    </Card>
  )
}

/** Beside it: what it replaces, cases of nights, incidents meanwhile. */
function Beside({ trace: m }: { trace: Trace }) {
  const t = useTexts({ zh, en })
  const { word } = useWords()
  return (
    <Card size="small" title={<h2 style={{ fontSize: 16, margin: 0 }}>{t('beside')}</h2>}>
      {m.links.length + m.cases.length + m.incidents.length === 0 && <Typography.Text type="secondary">{t('beside.none')}</Typography.Text>}
      {m.links.map((l) => (
        <p key={l.id}>
          {t('link')} <Link to={`/messages/${l.id}`}>{l.id}</Link> <State state={l.state} />
        </p>
      ))}
      {m.cases.map((c) => (
        <p key={c.id}>{t('case', { n: c.id, class: c.class, state: c.state })}</p>
      ))}
      {m.incidents.map((i) => (
        <p key={i.id}>
          {word('incident', i.kind)} · <Ago at={i.opened_at} /> · {i.detail}
        </p>
      ))}
    </Card>
  )
}
