import { useInfiniteQuery } from '@tanstack/react-query'
import { Button, Empty, Input, Select, Table, Typography } from 'antd'
import { useState } from 'react'
import { api, ok, type Schemas } from '../../api/client'
import { Export, type Field } from '../../parts/Export'
import { Failed } from '../../parts/Failed'
import { Time } from '../../parts/Time'
import { useWords } from '../../parts/words'
import { Yuan } from '../../parts/Yuan'
import { useMoney } from './words'

type Posting = Schemas['ClinicPayPosting']

const facts = ['paid', 'stray', 'unallocated', 'refund', 'given_up', 'returned'] as const
const aPage = 100

/** Journal is every fact about money, in its order; the entries of each sum to nothing. */
export function Journal({ hospital }: { hospital: string }) {
  const { t, fact } = useMoney()
  const { t: words } = useWords()
  const [kind, setKind] = useState<(typeof facts)[number] | ''>('')
  const [order, setOrder] = useState('')
  const list = useInfiniteQuery({
    queryKey: ['journal', hospital, kind, order],
    initialPageParam: 0,
    queryFn: ({ pageParam }) =>
      ok(api.GET('/clinic/v1/hospitals/{hospital}/journal', { params: { path: { hospital }, query: { limit: aPage, ...(kind ? { fact: kind } : {}), ...(order ? { order } : {}), ...(pageParam ? { after: pageParam } : {}) } } })),
    getNextPageParam: (last) => ((last ?? []).length === aPage ? last?.at(-1)?.id : undefined),
  })
  const rows = (list.data?.pages ?? []).flatMap((p) => p ?? [])
  const fields: Field<{ p: Posting; account: string; amount: number }>[] = [
    { title: t('posting'), of: (e) => e.p.id },
    { title: t('at'), of: (e) => new Date(e.p.at) },
    { title: t('fact'), of: (e) => fact(e.p.fact) },
    { title: t('order'), of: (e) => e.p.order_no },
    { title: t('account'), of: (e) => e.account },
    { title: t('debit'), of: (e) => (e.amount > 0 ? e.amount / 100 : null) },
    { title: t('credit'), of: (e) => (e.amount < 0 ? -e.amount / 100 : null) },
  ]
  if (list.isError) return <Failed error={list.error} again={() => void list.refetch()} />
  return (
    <>
      <div className="row" style={{ marginBottom: 12 }}>
        <Select aria-label={t('fact')} value={kind} onChange={setKind} style={{ minWidth: 150 }} options={[{ value: '' as const, label: t('fact.any') }, ...facts.map((f) => ({ value: f, label: fact(f) }))]} />
        <Input.Search aria-label={t('order')} placeholder={t('order')} onSearch={(v) => setOrder(v.trim())} allowClear style={{ maxWidth: 240 }} />
        <div className="grow" />
        <Button onClick={() => void list.refetch()}>{words('refresh')}</Button>
        <Export name={`journal-${hospital}`} fields={fields} rows={rows.flatMap((p) => (p.entries ?? []).map((e) => ({ p, ...e })))} />
      </div>
      <Postings of={rows} loading={list.isPending} none={kind || order ? t('none.such') : t('journal.none')} />
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

/** Postings with their entries, debits before credits. */
export function Postings({ of, loading, none }: { of: Posting[]; loading: boolean; none: string }) {
  const { t, fact, account } = useMoney()
  const lines = (p: Posting, side: 1 | -1 | 0) =>
    (p.entries ?? []).map((e) => (
      <div key={e.account}>{side === 0 ? account(e.account) : e.amount * side > 0 ? <Yuan fen={e.amount * side} /> : '\u00a0'}</div>
    ))
  return (
    <Table<Posting>
      rowKey="id"
      size="small"
      loading={loading}
      dataSource={of}
      pagination={false}
      scroll={{ x: 'max-content' }}
      locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={none} /> }}
      columns={[
        { title: t('posting'), dataIndex: 'id' },
        { title: t('at'), render: (_, p) => <Time at={p.at} /> },
        { title: t('fact'), render: (_, p) => fact(p.fact) },
        { title: t('order'), render: (_, p) => <span className="mono">{p.order_no}</span> },
        { title: t('account'), render: (_, p) => lines(p, 0) },
        { title: t('debit'), align: 'end', render: (_, p) => lines(p, 1) },
        { title: t('credit'), align: 'end', render: (_, p) => lines(p, -1) },
      ]}
    />
  )
}
