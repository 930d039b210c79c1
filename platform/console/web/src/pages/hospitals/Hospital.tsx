import { useQuery } from '@tanstack/react-query'
import { Alert, Card, Empty, Skeleton, Table, Tag, Typography } from 'antd'
import { Link, useParams } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import { useLive, type Light } from '../../app/live'
import { useTexts } from '../../app/texts'
import { Failed } from '../../parts/Failed'
import { Head } from '../../parts/Head'
import { Ago, Time } from '../../parts/Time'
import { Lamp, useWords } from '../../parts/words'
import { Acts } from './Acts'
import { Waiting } from './Waiting'
import en from './en.json'
import zh from './zh.json'

type Revision = Schemas['Revision']

/** Hospital is one with all that is known of it, and what can be done. */
export default function Hospital() {
  const id = useParams().id ?? ''
  const t = useTexts({ zh, en })
  const live = useLive()
  const light = live.lights.find((l) => l.id === id)
  // What is not one's own is told apart by the API, not here.
  const revisions = useQuery({
    queryKey: ['revisions', id, light?.revision],
    queryFn: async () => (await ok(api.GET('/v1/hospitals/{hospital}/revisions', { params: { path: { hospital: id } } }))).revisions,
    placeholderData: (before) => before,
  })
  if (revisions.isError)
    return (
      <>
        <Head title={id} />
        <Failed error={revisions.error} again={() => void revisions.refetch()} />
      </>
    )
  if (revisions.isPending || !light) return <Skeleton active />
  return (
    <>
      <Head
        title={
          <>
            {light.name || light.id} <Lamp light={light.light} />
          </>
        }
        about={<span className="mono">{light.id}</span>}
      >
        <Acts light={light} />
      </Head>
      {light.paused_at && <Alert type="warning" showIcon title={t('paused', { who: light.paused_by ?? '', why: light.paused_why ?? '' })} description={<Ago at={light.paused_at} />} style={{ marginBottom: 16 }} />}
      {light.problem && <Alert type="error" showIcon title={t('problem')} description={light.problem} style={{ marginBottom: 16 }} />}
      {light.rests && <Alert type="info" showIcon title={light.rests.text} style={{ marginBottom: 16 }} />}
      <Facts light={light} />
      <Troubles light={light} />
      <Waiting light={light} />
      <Card size="small" style={{ marginTop: 16 }} title={<h2 style={{ fontSize: 16, margin: 0 }}>{t('revisions')}</h2>}>
        <Table<Revision>
          rowKey="number"
          size="small"
          dataSource={revisions.data}
          pagination={{ pageSize: 10, hideOnSinglePage: true }}
          scroll={{ x: 'max-content' }}
          columns={[
            { title: t('revision'), render: (_, r) => <>{r.number} {r.active && <Tag variant="outlined">{t('active')}</Tag>}</> },
            { title: t('applied'), render: (_, r) => <Time at={r.applied_at} /> },
            { title: t('by'), render: (_, r) => r.applied_by },
            { title: t('why'), render: (_, r) => <span style={{ display: 'inline-block', maxWidth: 360, whiteSpace: 'normal' }}>{r.note}</span> },
            { title: t('unfinished'), render: (_, r) => r.unfinished },
            { title: t('digest'), render: (_, r) => <span className="mono" title={r.digest}>{r.digest.slice(0, 12)}</span> },
          ]}
        />
      </Card>
    </>
  )
}

/** Facts are how it stands now. */
function Facts({ light: l }: { light: Light }) {
  const t = useTexts({ zh, en })
  const breaker = l.breaker as 'closed' | 'open' | 'half-open' | undefined
  const off = l.clock_off_ms
  const set = l.limits
  const limits = [set?.concurrency !== undefined && t('limits.concurrency', { n: set.concurrency }), set?.rate !== undefined && (set.rate === 0 ? t('limits.rate.none') : t('limits.rate', { n: set.rate }))].filter((x) => x)
  return (
    <Card size="small">
      <dl className="facts">
        <dt>{t('waiting')}</dt>
        <dd>{l.queued + l.sending}</dd>
        <dt>{t('oldest')}</dt>
        <dd>
          <Ago at={l.oldest} />
        </dd>
        <dt>{t('parked')}</dt>
        <dd>{l.parked > 0 ? <Link to={'/parked?' + new URLSearchParams({ hospital: l.id }).toString()}>{l.parked}</Link> : 0}</dd>
        <dt>{t('inDoubt')}</dt>
        <dd>{l.in_doubt}</dd>
        <dt>{t('breaker')}</dt>
        <dd>{breaker ? t(`breaker.${breaker}`) : '–'}</dd>
        <dt>{t('exchanges')}</dt>
        <dd>{l.known ? t('exchanges.of', { n: l.exchanges ?? 0, failed: l.failed ?? 0 }) : '–'}</dd>
        <dt>{t('contact')}</dt>
        <dd>
          <Ago at={l.last_success} />
        </dd>
        <dt>{t('clock')}</dt>
        <dd>{off === undefined ? '–' : Math.abs(off) < 2000 ? t('clock.fine') : t(off > 0 ? 'clock.ahead' : 'clock.behind', { n: Math.round(Math.abs(off) / 1000) })}</dd>
        <dt>{t('unmapped')}</dt>
        <dd>{l.known ? (l.unmapped ?? 0) : '–'}</dd>
        <dt>{t('limits')}</dt>
        <dd>{limits.length > 0 ? limits.join(' · ') : t('limits.folder')}</dd>
      </dl>
    </Card>
  )
}

/** Troubles are the open incidents; certificates that end are among them. */
function Troubles({ light: l }: { light: Light }) {
  const t = useTexts({ zh, en })
  const { word } = useWords()
  const open = l.incidents ?? []
  return (
    <Card size="small" style={{ marginTop: 16 }} title={<h2 style={{ fontSize: 16, margin: 0 }}>{t('incidents')}</h2>} extra={<Link to={'/incidents?' + new URLSearchParams({ hospital: l.id }).toString()}>{t('incidents.all')}</Link>}>
      {open.length === 0 && <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('incidents.none')} />}
      {open.map((i) => (
        <Typography.Paragraph key={i.id} style={{ marginBottom: 8 }}>
          <Tag color={i.severity === 'critical' ? 'red' : 'orange'} variant="outlined">{word('incident', i.kind)}</Tag> {i.detail} <Ago at={i.opened_at} />
        </Typography.Paragraph>
      ))}
    </Card>
  )
}
