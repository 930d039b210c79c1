import { Alert, Card, Empty, Input, Pagination, Segmented, Skeleton, Statistic, Tag, Typography } from 'antd'
import { useMemo, useState } from 'react'
import { Link } from 'react-router'
import { useLive, type Light } from '../../app/live'
import { localeOf, useLanguage, useTexts } from '../../app/texts'
import { Export, type Field } from '../../parts/Export'
import { Head } from '../../parts/Head'
import { Ago, moment, useLasts } from '../../parts/Time'
import { Lamp, useWords } from '../../parts/words'
import { Charts } from './Charts'
import { Incidents } from './Incidents'
import en from './en.json'
import zh from './zh.json'

const worst = ['red', 'yellow', 'paused', 'closed', 'green']
const aPage = 24

const rate = (l: Light) => (l.exchanges ? 1 - (l.failed ?? 0) / l.exchanges : undefined)
const percent = (r: number) => (Math.floor(r * 1000) / 10).toString() + '%'

/** Overview is how all hospitals stand now: the worst first. */
export default function Overview() {
  const t = useTexts({ zh, en })
  const { word, t: words } = useWords()
  const { language } = useLanguage()
  const live = useLive()
  const [light, setLight] = useState('')
  const [name, setName] = useState('')
  const [at, setAt] = useState(1)
  const all = useMemo(
    () => [...live.lights].sort((a, b) => worst.indexOf(a.light) - worst.indexOf(b.light) || a.id.localeCompare(b.id)),
    [live.lights],
  )
  const fit = all.filter((l) => (light === '' || l.light === light) && (l.id + ' ' + l.name).toLowerCase().includes(name.trim().toLowerCase()))
  const sum = (of: (l: Light) => number) => all.reduce((n, l) => n + of(l), 0)
  const fields: Field<Light>[] = [
    { title: t('hospitals'), of: (l) => l.id },
    { title: t('name'), of: (l) => l.name },
    { title: t('light'), of: (l) => word('light', l.light) },
    { title: t('queued'), of: (l) => l.queued + l.sending },
    { title: t('oldest'), of: (l) => (l.oldest ? new Date(l.oldest) : null) },
    { title: t('parked'), of: (l) => l.parked },
    { title: t('inDoubt'), of: (l) => l.in_doubt },
    { title: t('success'), of: (l) => rate(l) ?? null },
    { title: t('breaker'), of: (l) => l.breaker ?? null },
    { title: t('contact'), of: (l) => (l.last_success ? new Date(l.last_success) : null) },
    { title: t('unmapped'), of: (l) => l.unmapped ?? null },
  ]
  return (
    <>
      <Head title={t('menu')} about={<Standing />}>
        <Export name="hospitals" fields={fields} rows={fit} />
      </Head>
      {live.resting && <Alert type="info" showIcon title={t('resting')} style={{ marginBottom: 16 }} />}
      <div className="figures" style={{ marginBottom: 16 }}>
        <Statistic title={t('hospitals')} value={all.length} />
        <Statistic title={t('queued')} value={sum((l) => l.queued + l.sending)} />
        <Statistic title={t('parked')} value={sum((l) => l.parked)} />
        <Statistic title={t('inDoubt')} value={sum((l) => l.in_doubt)} />
        <Statistic title={t('unmapped')} value={sum((l) => l.unmapped ?? 0)} />
      </div>
      <Charts />
      <Incidents open={all.map((l) => (l.incidents ?? []).map((i) => i.id).join()).join()} />
      <div className="row" style={{ margin: '24px 0 12px' }}>
        <Typography.Title level={2} style={{ fontSize: 18, margin: 0 }}>
          {t('hospitals')}
        </Typography.Title>
        <Segmented
          value={light}
          onChange={(v) => {
            setLight(v)
            setAt(1)
          }}
          options={[{ value: '', label: words('any') + ' ' + all.length }, ...worst.filter((w) => all.some((l) => l.light === w)).map((w) => ({ value: w, label: <Lamp light={w} /> }))]}
        />
        <Input value={name} onChange={(e) => setName(e.target.value)} placeholder={t('filter')} aria-label={t('filter')} allowClear style={{ maxWidth: 260 }} />
      </div>
      {live.at === undefined && !live.resting ? (
        <Skeleton active />
      ) : fit.length === 0 ? (
        <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={all.length === 0 ? t('hospitals.none') : t('hospitals.nofit')} />
      ) : (
        <div className="cards">
          {fit.slice((at - 1) * aPage, at * aPage).map((l) => (
            <One key={l.id} light={l} />
          ))}
        </div>
      )}
      {fit.length > aPage && <Pagination current={at} onChange={setAt} total={fit.length} pageSize={aPage} showSizeChanger={false} style={{ marginTop: 16 }} />}
    </>
  )

  function Standing() {
    if (live.at === undefined) return null
    return (
      <span role="status">
        {live.connected ? t('live') : t('off')} · {t('asOf', { at: moment(live.at, localeOf(language)) })}
      </span>
    )
  }
}

/** One hospital with all its lights. */
function One({ light: l }: { light: Light }) {
  const t = useTexts({ zh, en })
  const lasts = useLasts()
  const ok = rate(l)
  const off = l.clock_off_ms
  const breaker = l.breaker as 'closed' | 'open' | 'half-open' | undefined
  return (
    <Card size="small" title={<span title={l.id}>{l.name || l.id}</span>} extra={<Lamp light={l.light} />} data-hospital={l.id}>
      <dl className="facts">
        <dt>{t('queued')}</dt>
        <dd>{l.queued + l.sending}</dd>
        <dt>{t('oldest')}</dt>
        <dd>{l.oldest ? lasts(Date.now() - new Date(l.oldest).getTime()) : '–'}</dd>
        <dt>{t('parked')}</dt>
        <dd>
          {l.parked > 0 ? (
            <Link to={'/parked?' + new URLSearchParams({ hospital: l.id }).toString()}>
              {l.parked}
              {l.in_doubt > 0 && ` (${t('inDoubt')} ${l.in_doubt})`}
            </Link>
          ) : (
            0
          )}
        </dd>
        <dt>{t('success')}</dt>
        <dd>{ok === undefined ? '–' : percent(ok)}</dd>
        <dt>{t('breaker')}</dt>
        <dd>{breaker ? t(`breaker.${breaker}`) : '–'}</dd>
        <dt>{t('contact')}</dt>
        <dd>
          <Ago at={l.last_success} />
        </dd>
        <dt>{t('clock')}</dt>
        <dd>{off === undefined ? '–' : Math.abs(off) < 2000 ? t('clock.fine') : t(off > 0 ? 'clock.ahead' : 'clock.behind', { n: Math.round(Math.abs(off) / 1000) })}</dd>
        <dt>{t('unmapped')}</dt>
        <dd>{l.known ? (l.unmapped ?? 0) : '–'}</dd>
        <dt>{t('revision')}</dt>
        <dd>{l.revision}</dd>
      </dl>
      {l.paused_at && <Typography.Text type="warning">{t('paused', { who: l.paused_by ?? '', why: l.paused_why ?? '' })}</Typography.Text>}
      {l.rests && <Typography.Text type="secondary">{l.rests.text}</Typography.Text>}
      {l.problem && <Typography.Text type="danger">{l.problem}</Typography.Text>}
      <div className="row" style={{ marginTop: 8 }}>
        <Link to={'/messages?' + new URLSearchParams({ hospital: l.id }).toString()}>{t('messages')}</Link>
        {(l.incidents ?? []).map((i) => (
          <Kind key={i.id} kind={i.kind} severe={i.severity === 'critical'} />
        ))}
      </div>
    </Card>
  )
}

function Kind({ kind, severe }: { kind: string; severe: boolean }) {
  const { word } = useWords()
  return <Tag color={severe ? 'error' : 'warning'} variant="outlined">{word('incident', kind)}</Tag>
}
