import { useInfiniteQuery } from '@tanstack/react-query'
import { Button, Empty, Input, Select, Table, Typography } from 'antd'
import { useState } from 'react'
import { api, ok } from '../../api/client'
import { Export, type Field } from '../../parts/Export'
import { Failed } from '../../parts/Failed'
import { Time } from '../../parts/Time'
import { useWords } from '../../parts/words'
import { Yuan } from '../../parts/Yuan'
import { DecideRefund } from './Decisions'
import { Reason } from './Undecided'
import { backStates, BackState, useMoney, type Refund } from './words'

/** Refunds are all money that went back, or is to, the newest first. */
export function Refunds({ hospital }: { hospital: string }) {
  const { t, back, origin, told } = useMoney()
  const { t: words } = useWords()
  const [state, setState] = useState<(typeof backStates)[number] | ''>('')
  const [order, setOrder] = useState('')
  const list = useInfiniteQuery({
    queryKey: ['refunds', hospital, state, order],
    initialPageParam: '',
    queryFn: ({ pageParam }) =>
      ok(api.GET('/clinic/v1/hospitals/{hospital}/refunds', { params: { path: { hospital }, query: { limit: 50, ...(state ? { state } : {}), ...(order ? { order } : {}), ...(pageParam ? { before: pageParam } : {}) } } })),
    getNextPageParam: (last) => last.next || undefined,
  })
  const rows = (list.data?.pages ?? []).flatMap((p) => p.refunds ?? [])
  const fields: Field<Refund>[] = [
    { title: t('no'), of: (r) => r.no },
    { title: t('order'), of: (r) => r.order_no },
    { title: t('origin'), of: (r) => origin(r.origin) },
    { title: t('amount'), of: (r) => r.amount / 100 },
    { title: words('state'), of: (r) => back(r.state) },
    { title: t('told'), of: (r) => told(r.told) },
    { title: t('channel_no'), of: (r) => r.channel_refund_no },
    { title: t('begun'), of: (r) => new Date(r.created_at) },
    { title: t('returned'), of: (r) => (r.returned_at ? new Date(r.returned_at) : null) },
  ]
  if (list.isError) return <Failed error={list.error} again={() => void list.refetch()} />
  return (
    <>
      <div className="row" style={{ marginBottom: 12 }}>
        <Select aria-label={words('state')} value={state} onChange={setState} style={{ minWidth: 130 }} options={[{ value: '' as const, label: t('state.any') }, ...backStates.map((s) => ({ value: s, label: back(s) }))]} />
        <Input.Search aria-label={t('order')} placeholder={t('order')} onSearch={(v) => setOrder(v.trim())} allowClear style={{ maxWidth: 240 }} />
        <div className="grow" />
        <Button onClick={() => void list.refetch()}>{words('refresh')}</Button>
        <Export name={`refunds-${hospital}`} fields={fields} rows={rows} />
      </div>
      <Table<Refund>
        rowKey="no"
        size="small"
        loading={list.isPending}
        dataSource={rows}
        pagination={false}
        scroll={{ x: 'max-content' }}
        locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={state || order ? t('none.such') : t('refunds.none')} /> }}
        columns={[
          { title: t('no'), render: (_, r) => <span className="mono">{r.no}</span> },
          { title: t('order'), render: (_, r) => <span className="mono">{r.order_no}</span> },
          { title: t('origin'), render: (_, r) => origin(r.origin) },
          { title: t('amount'), align: 'end', render: (_, r) => <Yuan fen={r.amount} /> },
          { title: words('state'), render: (_, r) => <BackState of={r} /> },
          { title: t('reason'), render: (_, r) => <Reason of={r} /> },
          { title: t('begun'), render: (_, r) => <Time at={r.created_at} /> },
          { title: t('returned'), render: (_, r) => <Time at={r.returned_at} /> },
          { title: t('do'), render: (_, r) => <DecideRefund of={r} /> },
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
