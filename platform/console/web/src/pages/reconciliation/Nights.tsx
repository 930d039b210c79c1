import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Button, Card, DatePicker, Empty, Table, Typography } from 'antd'
import dayjs from 'dayjs'
import { useState } from 'react'
import { Link, useNavigate } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import { useAsk } from '../../parts/Ask'
import { Export, type Field } from '../../parts/Export'
import { Failed } from '../../parts/Failed'
import { Time } from '../../parts/Time'
import { useWords } from '../../parts/words'
import { Yuan } from '../../parts/Yuan'
import { Calendar } from './Calendar'
import { Trend } from './Trend'
import { different, differences, NightState, useReckoning } from './words'

type Night = Schemas['Night']

const inQuestion = (n: Night) => differences.reduce((sum, c) => sum + (n.amounts?.[c] ?? 0), 0)

/** newest keeps the newest run of each day; nights come newest first. */
const newest = (all: Night[]) => [...new Map([...all].reverse().map((n) => [n.day, n])).values()].sort((a, b) => b.day.localeCompare(a.day))

/** Nights are a hospital's days: how each ended, and how many differences it had. */
export function Nights({ hospital }: { hospital: string }) {
  const { t, night } = useReckoning()
  const { t: words } = useWords()
  const queries = useQueryClient()
  const navigate = useNavigate()
  const { ask, asking } = useAsk()
  const [day, setDay] = useState(dayjs().subtract(1, 'day').format('YYYY-MM-DD'))
  const list = useQuery({
    queryKey: ['nights', hospital],
    queryFn: async () => (await ok(api.GET('/v1/hospitals/{hospital}/nights', { params: { path: { hospital }, query: { limit: 200 } } }))).nights ?? [],
    refetchInterval: (q) => (q.state.data?.some((n) => n.state === 'running') ? 3000 : false),
  })
  if (list.isError) return <Failed error={list.error} again={() => void list.refetch()} />
  const days = newest(list.data ?? [])
  const run = () =>
    ask({
      title: t('run.title', { day }),
      about: t('run.about'),
      act: t('run'),
      note: false,
      run: async () => {
        await ok(api.POST('/v1/hospitals/{hospital}/nights/{day}', { params: { path: { hospital, day } }, body: {} }))
        await queries.invalidateQueries({ queryKey: ['nights'] })
        await queries.invalidateQueries({ queryKey: ['night'] })
        await queries.invalidateQueries({ queryKey: ['cases'] })
        void navigate(`/reconciliation/nights/${hospital}/${day}`)
      },
    })
  const fields: Field<Night>[] = [
    { title: t('day'), of: (n) => n.day },
    { title: t('run.no'), of: (n) => n.run },
    { title: words('state'), of: (n) => night(n.state) },
    { title: t('differences'), of: (n) => different(n.counts) },
    { title: t('question'), of: (n) => inQuestion(n) / 100 },
    { title: t('began'), of: (n) => new Date(n.started) },
    { title: t('problem'), of: (n) => n.problem },
  ]
  return (
    <>
      <div className="sides" style={{ marginBottom: 16 }}>
        <Card size="small" title={t('calendar')} loading={list.isPending}>
          <Calendar nights={days} to={(d) => `/reconciliation/nights/${hospital}/${d}`} />
        </Card>
        <Card size="small" title={t('trend')} loading={list.isPending}>
          <Trend points={[...days].reverse().filter((n) => n.state === 'done').slice(-60).map((n) => ({ day: n.day, count: different(n.counts), fen: inQuestion(n) }))} />
        </Card>
      </div>
      <div className="row" style={{ marginBottom: 12 }}>
        <DatePicker
          aria-label={t('day')}
          allowClear={false}
          value={dayjs(day)}
          maxDate={dayjs().add(1, 'day')}
          onChange={(d) => d && setDay(d.format('YYYY-MM-DD'))}
        />
        <Button type="primary" onClick={run}>
          {t('run')}
        </Button>
        <div className="grow" />
        <Button onClick={() => void list.refetch()}>{words('refresh')}</Button>
        <Export name={`nights-${hospital}`} fields={fields} rows={list.data ?? []} />
      </div>
      <Table<Night>
        rowKey="id"
        size="small"
        loading={list.isPending}
        dataSource={list.data ?? []}
        pagination={{ pageSize: 31, hideOnSinglePage: true, showSizeChanger: false }}
        scroll={{ x: 'max-content' }}
        locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('nights.none')} /> }}
        columns={[
          { title: t('day'), render: (_, n) => <Link to={`/reconciliation/nights/${hospital}/${n.day}?run=${n.run}`}>{n.day}</Link> },
          { title: t('run.no'), dataIndex: 'run', align: 'end' },
          { title: words('state'), render: (_, n) => <NightState state={n.state} closed={n.closed} /> },
          { title: t('differences'), align: 'end', render: (_, n) => (n.state === 'done' ? different(n.counts) : '–') },
          { title: t('question'), align: 'end', render: (_, n) => n.state === 'done' && <Yuan fen={inQuestion(n)} /> },
          { title: t('began'), render: (_, n) => <Time at={n.started} /> },
          { title: t('who'), dataIndex: 'who' },
          { title: t('problem'), render: (_, n) => n.problem && <Typography.Text type="secondary" style={{ display: 'inline-block', maxWidth: 320, whiteSpace: 'normal' }}>{n.problem}</Typography.Text> },
        ]}
      />
      {asking}
    </>
  )
}
