import { useQuery } from '@tanstack/react-query'
import { Card, Empty, Skeleton, Table, Typography } from 'antd'
import { Link, useParams } from 'react-router'
import { api, ok } from '../../api/client'
import { useRights } from '../../app/session'
import { Failed } from '../../parts/Failed'
import { Head } from '../../parts/Head'
import { Ago, Time } from '../../parts/Time'
import { useWords } from '../../parts/words'
import { Yuan } from '../../parts/Yuan'
import { DecidePayment, DecideRefund } from './Decisions'
import { Postings } from './Journal'
import { Reason, Why } from './Undecided'
import { BackState, PaidState, useMoney, type Attempt, type Refund } from './words'

/** Payment is all about the order of one payment: attempts, refunds, and what the books say. */
export default function Payment() {
  const { hospital = '', channel: by = '', no = '' } = useParams()
  const { t, channel, origin, told } = useMoney()
  const { t: words } = useWords()
  const { nameOf } = useRights()
  const got = useQuery({
    queryKey: ['payment', hospital, by, no],
    queryFn: () => ok(api.GET('/clinic/v1/hospitals/{hospital}/payments/{channel}/{no}', { params: { path: { hospital, channel: by, no } } })),
  })
  if (got.isError) return <Failed error={got.error} again={() => void got.refetch()} />
  if (got.isPending) return <Skeleton active />
  const attempts = got.data.attempts ?? []
  const order = attempts[0]?.order_no ?? ''
  return (
    <>
      <Head title={t('payment', { no: order })} about={<>{nameOf(hospital)} · <Link to={`/payments?hospital=${hospital}&show=payments`}>{t('back')}</Link></>} />
      {attempts.map((a: Attempt) => (
        <Card key={a.channel + a.no} size="small" title={<span className="mono">{a.no}</span>} extra={<PaidState of={a} />} style={{ marginBottom: 16 }}>
          <dl className="facts" style={{ maxWidth: 560 }}>
            <dt>{t('channel')}</dt>
            <dd>{channel(a.channel)}</dd>
            <dt>{t('channel_no')}</dt>
            <dd className="mono">{a.channel_no || '–'}</dd>
            <dt>{t('amount')}</dt>
            <dd><Yuan fen={a.amount} /></dd>
            <dt>{t('got')}</dt>
            <dd>{a.got ? <Yuan fen={a.got} /> : '–'}</dd>
            <dt>{t('told')}</dt>
            <dd>{told(a.told)}</dd>
            <dt>{t('begun')}</dt>
            <dd><Ago at={a.created_at} /></dd>
            <dt>{t('paid')}</dt>
            <dd>{a.paid_at ? <Time at={a.paid_at} /> : '–'}</dd>
            <dt>{t('asked')}</dt>
            <dd>{a.asked}</dd>
          </dl>
          <Typography.Paragraph style={{ marginTop: 8 }}>
            <Why of={a} />
          </Typography.Paragraph>
          <DecidePayment of={a} />
        </Card>
      ))}
      <Card size="small" title={t('tab.refunds')} style={{ marginBottom: 16 }}>
        <Table<Refund>
          rowKey="no"
          size="small"
          pagination={false}
          dataSource={got.data.refunds ?? []}
          scroll={{ x: 'max-content' }}
          locale={{ emptyText: <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('refunds.none')} /> }}
          columns={[
            { title: t('no'), render: (_, r) => <span className="mono">{r.no}</span> },
            { title: t('origin'), render: (_, r) => origin(r.origin) },
            { title: t('amount'), align: 'end', render: (_, r) => <Yuan fen={r.amount} /> },
            { title: words('state'), render: (_, r) => <BackState of={r} /> },
            { title: t('reason'), render: (_, r) => <Reason of={r} /> },
            { title: t('do'), render: (_, r) => <DecideRefund of={r} /> },
          ]}
        />
      </Card>
      <Card size="small" title={t('tab.journal')}>
        <Postings of={got.data.journal ?? []} loading={false} none={t('journal.order.none')} />
      </Card>
    </>
  )
}
