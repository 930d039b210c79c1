import { useInfiniteQuery } from '@tanstack/react-query'
import { Button, DatePicker, Empty, Form, Input, Select, Table, Typography } from 'antd'
import dayjs, { type Dayjs } from 'dayjs'
import { useState } from 'react'
import { Link, useNavigate, useSearchParams } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import { useRights } from '../../app/session'
import { useTexts } from '../../app/texts'
import { Export, type Field } from '../../parts/Export'
import { Failed } from '../../parts/Failed'
import { Head } from '../../parts/Head'
import { Time } from '../../parts/Time'
import { Class, State, useWords } from '../../parts/words'
import en from './en.json'
import zh from './zh.json'
import { kinds } from './kinds'

type Message = Schemas['Message']
type Search = Schemas['MessageSearchBody']

const states = ['queued', 'sending', 'delivered', 'parked', 'cancelled'] as const
const classes = ['unavailable', 'in_doubt', 'rejected', 'invalid'] as const
const names = ['number', 'his_no', 'hospital', 'kind', 'state', 'class'] as const

interface Fields {
  number?: string
  his_no?: string
  hospital?: string
  kind?: string
  state?: string
  class?: string
  span?: [Dayjs | null, Dayjs | null] | null
  patient?: string
  purpose?: string
}

/** Messages are looked for by any number; the address holds the search, but never a patient. */
export default function Messages() {
  const t = useTexts({ zh, en })
  const { word, t: words } = useWords()
  const { me, may, nameOf } = useRights()
  const navigate = useNavigate()
  const [address, setAddress] = useSearchParams()
  const [patient, setPatient] = useState<{ patient: string; purpose: string } | null>(null)

  const filter: Search = { limit: 50 }
  for (const name of names) {
    const value = address.get(name)
    if (value) (filter as Record<string, unknown>)[name] = value
  }
  const since = address.get('since')
  const until = address.get('until')
  if (since) filter.since = dayjs(since).startOf('day').toISOString()
  if (until) filter.until = dayjs(until).add(1, 'day').startOf('day').toISOString()
  if (patient) Object.assign(filter, patient)

  const list = useInfiniteQuery({
    queryKey: ['messages', filter],
    initialPageParam: '',
    queryFn: ({ pageParam }) => ok(api.POST('/v1/messages:search', { body: pageParam ? { ...filter, cursor: pageParam } : filter })),
    getNextPageParam: (last) => last.next || undefined,
    // a search for a patient is in the audit: it is not repeated by itself
    staleTime: patient ? Infinity : 5000,
  })
  const rows = (list.data?.pages ?? []).flatMap((p) => p.messages)

  const look = (v: Fields) => {
    const next = new URLSearchParams()
    for (const name of names) {
      const value = v[name]?.trim()
      if (value) next.set(name, value)
    }
    if (v.span?.[0]) next.set('since', v.span[0].format('YYYY-MM-DD'))
    if (v.span?.[1]) next.set('until', v.span[1].format('YYYY-MM-DD'))
    setPatient(v.patient?.trim() ? { patient: v.patient.trim(), purpose: v.purpose?.trim() ?? '' } : null)
    setAddress(next)
  }
  const fields: Field<Message>[] = [
    { title: t('id'), of: (m) => m.id },
    { title: words('hospital'), of: (m) => m.hospital },
    { title: words('kind'), of: (m) => word('kind', m.kind) },
    { title: t('key'), of: (m) => m.key },
    { title: words('state'), of: (m) => word('state', m.state) },
    { title: words('class'), of: (m) => (m.class ? word('class', m.class) : null) },
    { title: t('reason'), of: (m) => m.reason },
    { title: t('attempts'), of: (m) => m.attempts },
    { title: t('accepted'), of: (m) => new Date(m.accepted_at) },
  ]
  const initial: Fields = { span: [since ? dayjs(since) : null, until ? dayjs(until) : null] }
  for (const name of names) initial[name] = address.get(name) ?? undefined

  const choice = (all: readonly string[], group: 'state' | 'class' | 'kind') => (
    <Select allowClear showSearch={{ optionFilterProp: 'label' }} placeholder={words('any')} options={all.map((v) => ({ value: v, label: word(group, v) }))} style={{ minWidth: 130 }} />
  )
  return (
    <>
      <Head title={t('menu')} about={t('about')}>
        <Export name="messages" fields={fields} rows={rows} />
      </Head>
      <Form<Fields> key={address.toString()} layout="inline" className="search" initialValues={initial} onFinish={look} style={{ rowGap: 8, marginBottom: 16 }}>
        <Form.Item name="number" label={t('number')}>
          <Input allowClear placeholder={t('number.hint')} />
        </Form.Item>
        <Form.Item name="his_no" label={t('his_no')}>
          <Input allowClear />
        </Form.Item>
        <Form.Item name="hospital" label={words('hospital')}>
          <Select allowClear showSearch={{ optionFilterProp: 'label' }} placeholder={words('any')} options={(me?.hospitals ?? []).map((h) => ({ value: h.id, label: h.name || h.id }))} style={{ minWidth: 150 }} />
        </Form.Item>
        <Form.Item name="kind" label={words('kind')}>
          {choice(kinds, 'kind')}
        </Form.Item>
        <Form.Item name="state" label={words('state')}>
          {choice(states, 'state')}
        </Form.Item>
        <Form.Item name="class" label={words('class')}>
          {choice(classes, 'class')}
        </Form.Item>
        <Form.Item name="span" label={t('accepted')}>
          <DatePicker.RangePicker allowEmpty={[true, true]} />
        </Form.Item>
        {may('hub:patients') && (
          <>
            <Form.Item name="patient" label={t('patient')} extra={t('patient.hint')}>
              <Input allowClear autoComplete="off" />
            </Form.Item>
            <Form.Item name="purpose" label={t('purpose')} dependencies={['patient']} rules={[({ getFieldValue }) => ({ required: Boolean(getFieldValue('patient')), message: t('purpose.need') })]}>
              <Input allowClear autoComplete="off" maxLength={200} />
            </Form.Item>
          </>
        )}
        <div className="row">
          <Button type="primary" htmlType="submit">
            {t('look')}
          </Button>
          <Button
            onClick={() => {
              setPatient(null)
              setAddress(new URLSearchParams())
            }}
          >
            {t('clear')}
          </Button>
        </div>
      </Form>
      {list.isError ? (
        <Failed error={list.error} again={() => void list.refetch()} />
      ) : (
        <Table<Message>
          rowKey="id"
          size="small"
          loading={list.isPending}
          dataSource={rows}
          pagination={false}
          scroll={{ x: 'max-content' }}
          onRow={(m) => ({ onDoubleClick: () => void navigate(`/messages/${m.id}`) })}
          locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('none')} /> }}
          columns={[
            { title: t('id'), render: (_, m) => <Link to={`/messages/${m.id}`}>{m.id}</Link> },
            { title: words('hospital'), render: (_, m) => nameOf(m.hospital) },
            { title: words('kind'), render: (_, m) => word('kind', m.kind) },
            { title: t('key'), render: (_, m) => <span className="mono">{m.key}</span> },
            { title: words('state'), render: (_, m) => <State state={m.state} /> },
            { title: words('class'), render: (_, m) => <Class of={m.class} /> },
            {
              title: t('reason'),
              render: (_, m) => (
                <Typography.Text style={{ maxWidth: 320 }} ellipsis={{ tooltip: m.waits?.text ?? m.reason }}>
                  {m.waits?.text ?? m.reason}
                </Typography.Text>
              ),
            },
            { title: t('attempts'), align: 'end', render: (_, m) => m.attempts },
            { title: t('accepted'), render: (_, m) => <Time at={m.accepted_at} /> },
          ]}
        />
      )}
      <div className="row" style={{ marginTop: 12 }}>
        <Typography.Text type="secondary">{words('shown', { n: rows.length })}</Typography.Text>
        {list.hasNextPage && (
          <Button onClick={() => void list.fetchNextPage()} loading={list.isFetchingNextPage}>
            {words('more')}
          </Button>
        )}
      </div>
    </>
  )
}
