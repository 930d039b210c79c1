import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Button, Empty, Segmented, Select, Skeleton, Table, Tabs, Typography } from 'antd'
import { Link, useSearchParams } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import { useRights } from '../../app/session'
import { useTexts } from '../../app/texts'
import { Decide } from '../../parts/Decide'
import { Export, type Field } from '../../parts/Export'
import { Failed } from '../../parts/Failed'
import { Head } from '../../parts/Head'
import { Ago } from '../../parts/Time'
import { Class, State, useWords } from '../../parts/words'
import { Proposals } from './Proposals'
import en from './en.json'
import zh from './zh.json'

type Message = Schemas['Message']

const classes = ['in_doubt', 'rejected', 'invalid', 'unavailable'] as const

/** Parked is what waits for a person: why, what is behind it, and what can be done. */
export default function Parked() {
  const t = useTexts({ zh, en })
  const { word, t: words } = useWords()
  const { me, may, nameOf } = useRights()
  const [address, setAddress] = useSearchParams()
  const of = address.get('class') ?? ''
  const hospital = address.get('hospital') ?? ''
  const set = (name: string, value: string) => {
    const next = new URLSearchParams(address)
    if (value) next.set(name, value)
    else next.delete(name)
    setAddress(next)
  }
  const list = useInfiniteQuery({
    queryKey: ['parked', of, hospital],
    initialPageParam: '',
    queryFn: ({ pageParam }) =>
      ok(
        api.GET('/v1/messages', {
          params: { query: { state: 'parked', limit: 50, ...(of ? { class: of as (typeof classes)[number] } : {}), ...(hospital ? { hospital } : {}), ...(pageParam ? { cursor: pageParam } : {}) } },
        }),
      ),
    getNextPageParam: (last) => last.next || undefined,
  })
  const rows = (list.data?.pages ?? []).flatMap((p) => p.messages)
  const fields: Field<Message>[] = [
    { title: t('id'), of: (m) => m.id },
    { title: words('hospital'), of: (m) => m.hospital },
    { title: words('kind'), of: (m) => word('kind', m.kind) },
    { title: t('key'), of: (m) => m.key },
    { title: words('class'), of: (m) => (m.class ? word('class', m.class) : null) },
    { title: t('reason'), of: (m) => m.reason },
    { title: t('since'), of: (m) => new Date(m.accepted_at) },
  ]
  const table = list.isError ? (
    <Failed error={list.error} again={() => void list.refetch()} />
  ) : (
    <>
      <div className="row" style={{ marginBottom: 12 }}>
        <Segmented value={of} onChange={(v) => set('class', v)} options={[{ value: '', label: words('any') }, ...classes.map((c) => ({ value: c as string, label: word('class', c) }))]} />
        <Select
          allowClear
          showSearch={{ optionFilterProp: 'label' }}
          aria-label={words('hospital')}
          placeholder={words('hospital')}
          value={hospital || undefined}
          onChange={(v: string | undefined) => set('hospital', v ?? '')}
          options={(me?.hospitals ?? []).map((h) => ({ value: h.id, label: h.name || h.id }))}
          style={{ minWidth: 180 }}
        />
      </div>
      <Table<Message>
        rowKey="id"
        size="small"
        loading={list.isPending}
        dataSource={rows}
        pagination={false}
        scroll={{ x: 'max-content' }}
        locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={of || hospital ? t('none.such') : t('none')} /> }}
        expandable={{ expandedRowRender: (m) => <Why message={m} /> }}
        columns={[
          { title: t('id'), render: (_, m) => <Link to={`/messages/${m.id}`}>{m.id}</Link> },
          { title: words('hospital'), render: (_, m) => nameOf(m.hospital) },
          { title: words('kind'), render: (_, m) => word('kind', m.kind) },
          { title: t('key'), render: (_, m) => <span className="mono">{m.key}</span> },
          { title: words('class'), render: (_, m) => <Class of={m.class} /> },
          { title: t('reason'), render: (_, m) => <span style={{ display: 'inline-block', maxWidth: 280, whiteSpace: 'normal' }}>{m.reason}</span> },
          { title: t('since'), render: (_, m) => <Ago at={m.accepted_at} /> },
          { title: t('do'), render: (_, m) => <Decide message={m} size="small" /> },
        ]}
      />
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
  return (
    <>
      <Head title={t('menu')} about={t('about')}>
        <Button onClick={() => void list.refetch()}>{words('refresh')}</Button>
        <Export name="parked" fields={fields} rows={rows} />
      </Head>
      {may('hub:decide') ? (
        <Tabs
          items={[
            { key: 'parked', label: t('tab.parked'), children: table },
            { key: 'proposals', label: t('tab.proposals'), children: <Proposals /> },
          ]}
        />
      ) : (
        table
      )}
    </>
  )
}

/** Why it is parked, in plain words and the HIS's own, and what waits behind it. */
function Why({ message: m }: { message: Message }) {
  const t = useTexts({ zh, en })
  const { word } = useWords()
  const one = useQuery({ queryKey: ['message', m.id, 'plain'], queryFn: () => ok(api.GET('/v1/messages/{id}', { params: { path: { id: m.id } } })) })
  const behind = useQuery({
    queryKey: ['blocked', m.hospital, m.lane],
    queryFn: async () => (await ok(api.GET('/v1/messages', { params: { query: { hospital: m.hospital, lane: m.lane, state: 'queued', limit: 20 } } }))).messages,
  })
  if (one.isError) return <Failed error={one.error} again={() => void one.refetch()} />
  if (one.isPending) return <Skeleton active />
  const last = one.data.history.at(-1)
  const cause = m.class ? t(`cause.${m.class}`) : ''
  return (
    <div style={{ maxWidth: 760, whiteSpace: 'normal' }}>
      <Typography.Paragraph>{cause}</Typography.Paragraph>
      {one.data.words && <Typography.Paragraph>{t('words', { words: one.data.words })}</Typography.Paragraph>}
      {last && <Typography.Paragraph type="secondary">{t('last', { n: last.number, because: last.because })}</Typography.Paragraph>}
      {behind.isError && <Failed error={behind.error} again={() => void behind.refetch()} />}
      {behind.data && (
        <Typography.Paragraph>
          {behind.data.length === 0 ? t('behind.none') : t('behind', { n: behind.data.length })}{' '}
          {behind.data.map((b) => (
            <span key={b.id} style={{ marginInlineEnd: 12 }}>
              <Link to={`/messages/${b.id}`}>{b.id}</Link> {word('kind', b.kind)} <State state={b.state} />
            </span>
          ))}
        </Typography.Paragraph>
      )}
    </div>
  )
}
