import { useQuery } from '@tanstack/react-query'
import { Alert, Button, DatePicker, Empty, Progress, Select, Table, Tag, Typography } from 'antd'
import dayjs from 'dayjs'
import { useState } from 'react'
import { useSearchParams } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import { useRights } from '../../app/session'
import { useTexts } from '../../app/texts'
import { Export, type Field } from '../../parts/Export'
import { Failed } from '../../parts/Failed'
import { Head } from '../../parts/Head'
import { Time } from '../../parts/Time'
import { useWords } from '../../parts/words'
import { Yuan } from '../../parts/Yuan'
import { Places } from './Places'
import { Stop } from './Stop'
import en from './en.json'
import zh from './zh.json'

export type Session = Schemas['ClinicScheduleSession']

/** useNames says the doctors and departments of a hospital by their names; codes where it has none. */
function useNames(hospital: string) {
  const doctors = useQuery({
    queryKey: ['doctors', hospital],
    enabled: hospital !== '',
    staleTime: 300_000,
    queryFn: async () => (await ok(api.GET('/clinic/v1/hospitals/{hospital}/doctors', { params: { path: { hospital }, query: { limit: 100 } } }))) ?? [],
  })
  const departments = useQuery({
    queryKey: ['departments', hospital],
    enabled: hospital !== '',
    staleTime: 300_000,
    queryFn: async () => (await ok(api.GET('/clinic/v1/hospitals/{hospital}/departments', { params: { path: { hospital } } }))) ?? [],
  })
  return {
    doctors: doctors.data ?? [],
    doctor: (code: string) => doctors.data?.find((d) => d.code === code)?.name ?? code,
    department: (code: string) => departments.data?.find((d) => d.code === code)?.name ?? code,
  }
}

/** Schedules are a hospital's clinic sessions: places left, held and sold; stop one or add places. */
export default function Schedules() {
  const t = useTexts({ zh, en })
  const { t: words } = useWords()
  const { where } = useRights()
  const [address, setAddress] = useSearchParams()
  const hospitals = where('clinic:plan_clinics')
  const hospital = address.get('hospital') ?? hospitals[0]?.id ?? ''
  const from = address.get('from') ?? dayjs().format('YYYY-MM-DD')
  const to = dayjs(from).add(13, 'day').format('YYYY-MM-DD')
  const [stopping, setStopping] = useState<Session | null>(null)
  const [adding, setAdding] = useState<Session | null>(null)
  const names = useNames(hospital)
  const list = useQuery({
    queryKey: ['sessions', hospital, from],
    enabled: hospital !== '',
    queryFn: () => ok(api.GET('/clinic/v1/hospitals/{hospital}/sessions', { params: { path: { hospital }, query: { from, to } } })),
    refetchInterval: 30_000,
  })
  const rows = list.data?.sessions ?? []
  const state = (v: Session) => (v.stopped ? 'stopped' : new Date(v.starts) < new Date() ? 'over' : new Date(v.release_at) > new Date() ? 'before' : v.free === 0 ? 'full' : 'open')
  const fields: Field<Session>[] = [
    { title: t('day'), of: (v) => v.day },
    { title: t('period'), of: (v) => t(`period.${v.period}`) },
    { title: t('department'), of: (v) => names.department(v.department) },
    { title: t('doctor'), of: (v) => names.doctor(v.doctor) },
    { title: t('capacity'), of: (v) => v.capacity },
    { title: t('held'), of: (v) => v.held },
    { title: t('booked'), of: (v) => v.booked },
    { title: t('free'), of: (v) => v.free },
    { title: t('fee'), of: (v) => v.fee / 100 },
    { title: words('state'), of: (v) => t(`state.${state(v)}`) },
  ]
  const sum = (of: (v: Session) => number) => rows.filter((v) => !v.stopped).reduce((n, v) => n + of(v), 0)
  return (
    <>
      <Head title={t('menu')} about={t('about')}>
        <Select
          showSearch={{ optionFilterProp: 'label' }}
          aria-label={words('hospital')}
          value={hospital || undefined}
          onChange={(v: string) => setAddress({ hospital: v, from })}
          options={hospitals.map((h) => ({ value: h.id, label: h.name || h.id }))}
          style={{ minWidth: 180 }}
        />
        <DatePicker aria-label={t('from')} allowClear={false} value={dayjs(from)} minDate={dayjs()} onChange={(d) => d && setAddress({ hospital, from: d.format('YYYY-MM-DD') })} />
        <Button onClick={() => void list.refetch()}>{words('refresh')}</Button>
        <Export name={`sessions-${hospital}`} fields={fields} rows={rows} />
      </Head>
      {list.data?.old && <Alert type="warning" showIcon title={t('old')} style={{ marginBottom: 16 }} />}
      {list.isError ? (
        <Failed error={list.error} again={() => void list.refetch()} />
      ) : (
        <>
          <Typography.Paragraph>{t('sum', { capacity: sum((v) => v.capacity), booked: sum((v) => v.booked), held: sum((v) => v.held), free: sum((v) => v.free) })}</Typography.Paragraph>
          <Table<Session>
            rowKey="no"
            size="small"
            loading={list.isPending && hospital !== ''}
            dataSource={rows}
            pagination={{ pageSize: 50, hideOnSinglePage: true, showSizeChanger: false }}
            scroll={{ x: 'max-content' }}
            locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={hospital ? t('none') : t('hospitals.none')} /> }}
            columns={[
              { title: t('day'), render: (_, v) => `${v.day} ${t(`period.${v.period}`)}` },
              { title: t('department'), render: (_, v) => names.department(v.department) },
              {
                title: t('doctor'),
                render: (_, v) => (
                  <>
                    {names.doctor(v.doctor)}
                    {v.substitute && <div>{t('substitute.is', { who: names.doctor(v.substitute) })}</div>}
                  </>
                ),
              },
              { title: words('state'), render: (_, v) => <Tag color={{ stopped: 'error', over: 'default', before: 'processing', full: 'warning', open: 'success' }[state(v)]} variant="outlined">{t(`state.${state(v)}`)}</Tag> },
              { title: t('capacity'), align: 'end', dataIndex: 'capacity' },
              { title: t('booked'), align: 'end', dataIndex: 'booked' },
              { title: t('held'), align: 'end', dataIndex: 'held' },
              { title: t('free'), align: 'end', dataIndex: 'free' },
              { title: t('used'), render: (_, v) => <Progress aria-label={t('used')} percent={v.capacity ? Math.round(((v.booked + v.held) * 100) / v.capacity) : 0} size="small" status="normal" style={{ width: 110 }} /> },
              { title: t('fee'), align: 'end', render: (_, v) => <Yuan fen={v.fee} /> },
              { title: t('release'), render: (_, v) => <Time at={v.release_at} /> },
              { title: t('source'), render: (_, v) => t(`source.${v.source}`) },
              {
                title: t('do'),
                render: (_, v) => (
                  <span className="row">
                    {!v.stopped && v.source === 'platform' && (
                      <Button size="small" onClick={() => setAdding(v)}>
                        {t('add')}
                      </Button>
                    )}
                    <Button size="small" danger={!v.stopped} onClick={() => setStopping(v)}>
                      {v.stopped ? t('stopped.look') : t('stop')}
                    </Button>
                  </span>
                ),
              },
            ]}
          />
        </>
      )}
      {stopping && <Stop key={stopping.no} session={stopping} name={`${stopping.day} ${t(`period.${stopping.period}`)} ${names.doctor(stopping.doctor)}`} doctors={names.doctors} close={() => setStopping(null)} />}
      {adding && <Places key={adding.no} session={adding} name={`${adding.day} ${t(`period.${adding.period}`)} ${names.doctor(adding.doctor)}`} close={() => setAdding(null)} />}
    </>
  )
}
