import { useInfiniteQuery } from '@tanstack/react-query'
import { Button, Empty, Input, Select, Table, Typography } from 'antd'
import { useState } from 'react'
import { Link } from 'react-router'
import { api, ok } from '../../api/client'
import { Export, type Field } from '../../parts/Export'
import { Failed } from '../../parts/Failed'
import { Time } from '../../parts/Time'
import { useWords } from '../../parts/words'
import { Yuan } from '../../parts/Yuan'
import { paidStates, PaidState, tolds, useMoney, type Attempt } from './words'

/** Attempts are all payments of a hospital, the newest first. */
export function Attempts({ hospital }: { hospital: string }) {
  const { t, channel, paid, told } = useMoney()
  const { t: words } = useWords()
  const [state, setState] = useState<(typeof paidStates)[number] | ''>('')
  const [heard, setHeard] = useState<(typeof tolds)[number] | ''>('')
  const [order, setOrder] = useState('')
  const list = useInfiniteQuery({
    queryKey: ['payments', hospital, state, heard, order],
    initialPageParam: '',
    queryFn: ({ pageParam }) =>
      ok(
        api.GET('/clinic/v1/hospitals/{hospital}/payments', {
          params: { path: { hospital }, query: { limit: 50, ...(state ? { state } : {}), ...(heard ? { told: heard } : {}), ...(order ? { order } : {}), ...(pageParam ? { before: pageParam } : {}) } },
        }),
      ),
    getNextPageParam: (last) => last.next || undefined,
  })
  const rows = (list.data?.pages ?? []).flatMap((p) => p.attempts ?? [])
  const fields: Field<Attempt>[] = [
    { title: t('no'), of: (a) => a.no },
    { title: t('order'), of: (a) => a.order_no },
    { title: t('channel'), of: (a) => channel(a.channel) },
    { title: t('channel_no'), of: (a) => a.channel_no },
    { title: t('amount'), of: (a) => a.amount / 100 },
    { title: t('got'), of: (a) => (a.got === undefined ? null : a.got / 100) },
    { title: words('state'), of: (a) => paid(a.state) },
    { title: t('told'), of: (a) => told(a.told) },
    { title: t('begun'), of: (a) => new Date(a.created_at) },
    { title: t('paid'), of: (a) => (a.paid_at ? new Date(a.paid_at) : null) },
  ]
  if (list.isError) return <Failed error={list.error} again={() => void list.refetch()} />
  return (
    <>
      <div className="row" style={{ marginBottom: 12 }}>
        <Select aria-label={words('state')} value={state} onChange={setState} style={{ minWidth: 130 }} options={[{ value: '' as const, label: t('state.any') }, ...paidStates.map((s) => ({ value: s, label: paid(s) }))]} />
        <Select aria-label={t('told')} value={heard} onChange={setHeard} style={{ minWidth: 150 }} options={[{ value: '' as const, label: t('told.any') }, ...tolds.map((s) => ({ value: s, label: told(s) }))]} />
        <Input.Search aria-label={t('order')} placeholder={t('order')} onSearch={(v) => setOrder(v.trim())} allowClear style={{ maxWidth: 240 }} />
        <div className="grow" />
        <Button onClick={() => void list.refetch()}>{words('refresh')}</Button>
        <Export name={`payments-${hospital}`} fields={fields} rows={rows} />
      </div>
      <Table<Attempt>
        rowKey={(a) => a.channel + a.no}
        size="small"
        loading={list.isPending}
        dataSource={rows}
        pagination={false}
        scroll={{ x: 'max-content' }}
        locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={state || heard || order ? t('none.such') : t('payments.none')} /> }}
        columns={[
          { title: t('no'), render: (_, a) => <Link to={`/payments/${hospital}/${a.channel}/${a.no}`} className="mono">{a.no}</Link> },
          { title: t('order'), render: (_, a) => <span className="mono">{a.order_no}</span> },
          { title: t('channel'), render: (_, a) => channel(a.channel) },
          { title: t('amount'), align: 'end', render: (_, a) => <Yuan fen={a.amount} /> },
          { title: words('state'), render: (_, a) => <PaidState of={a} /> },
          { title: t('told'), render: (_, a) => told(a.told) },
          { title: t('begun'), render: (_, a) => <Time at={a.created_at} /> },
          { title: t('paid'), render: (_, a) => <Time at={a.paid_at} /> },
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
}
