import { useQuery } from '@tanstack/react-query'
import { Alert, Empty, Skeleton, Table, Typography } from 'antd'
import { Link } from 'react-router'
import { api, ok } from '../../api/client'
import { Failed } from '../../parts/Failed'
import { Ago } from '../../parts/Time'
import { useWords } from '../../parts/words'
import { Yuan } from '../../parts/Yuan'
import { DecidePayment, DecideRefund } from './Decisions'
import { BackState, PaidState, useMoney, whyOf, type Attempt, type Refund } from './words'

/** Undecided is what waits for a person, the oldest first, and why. */
export function Undecided({ hospital }: { hospital: string }) {
  const { t, channel, origin } = useMoney()
  const { t: words } = useWords()
  const got = useQuery({
    queryKey: ['undecided', hospital],
    queryFn: () => ok(api.GET('/clinic/v1/hospitals/{hospital}/payments/undecided', { params: { path: { hospital }, query: { limit: 200 } } })),
    refetchInterval: 15_000,
  })
  if (got.isError) return <Failed error={got.error} again={() => void got.refetch()} />
  if (got.isPending) return <Skeleton active />
  const attempts = got.data.attempts ?? []
  const refunds = got.data.refunds ?? []
  return (
    <>
      {attempts.length + refunds.length === 0 && <Alert type="success" showIcon title={t('undecided.none')} />}
      {attempts.length > 0 && (
        <>
          <Typography.Title level={2} style={{ fontSize: 18 }}>{t('undecided.payments', { n: attempts.length })}</Typography.Title>
          <Table<Attempt>
            rowKey={(a) => a.channel + a.no}
            size="small"
            pagination={false}
            dataSource={attempts}
            scroll={{ x: 'max-content' }}
            columns={[
              { title: t('no'), render: (_, a) => <Link to={`/payments/${hospital}/${a.channel}/${a.no}`} className="mono">{a.no}</Link> },
              { title: t('channel'), render: (_, a) => channel(a.channel) },
              { title: t('amount'), align: 'end', render: (_, a) => <Yuan fen={a.amount} /> },
              { title: t('got'), align: 'end', render: (_, a) => (a.got ? <Yuan fen={a.got} /> : '–') },
              { title: words('state'), render: (_, a) => <PaidState of={a} /> },
              { title: t('why'), render: (_, a) => <Why of={a} /> },
              { title: t('since'), render: (_, a) => <Ago at={a.created_at} /> },
              { title: t('do'), render: (_, a) => <DecidePayment of={a} /> },
            ]}
          />
        </>
      )}
      {refunds.length > 0 && (
        <>
          <Typography.Title level={2} style={{ fontSize: 18 }}>{t('undecided.refunds', { n: refunds.length })}</Typography.Title>
          <Table<Refund>
            rowKey="no"
            size="small"
            pagination={false}
            dataSource={refunds}
            scroll={{ x: 'max-content' }}
            locale={{ emptyText: <Empty /> }}
            columns={[
              { title: t('no'), render: (_, r) => <span className="mono">{r.no}</span> },
              { title: t('order'), render: (_, r) => <span className="mono">{r.order_no}</span> },
              { title: t('origin'), render: (_, r) => origin(r.origin) },
              { title: t('amount'), align: 'end', render: (_, r) => <Yuan fen={r.amount} /> },
              { title: words('state'), render: (_, r) => <BackState of={r} /> },
              { title: t('reason'), render: (_, r) => <Reason of={r} /> },
              { title: t('since'), render: (_, r) => <Ago at={r.created_at} /> },
              { title: t('do'), render: (_, r) => <DecideRefund of={r} /> },
            ]}
          />
        </>
      )}
    </>
  )
}

/** Why a person is needed, in plain words and the channel's own. */
export function Why({ of: a }: { of: Attempt }) {
  const { t, channel } = useMoney()
  const why = whyOf(a)
  return (
    <span style={{ display: 'inline-block', maxWidth: 380, whiteSpace: 'normal' }}>
      {why && t(`why.${why}`, { channel: channel(a.channel), n: a.asked })}
      {a.problem && <Typography.Text type="secondary"> {a.problem}</Typography.Text>}
    </span>
  )
}

export function Reason({ of: r }: { of: Refund }) {
  const { t } = useMoney()
  return (
    <span style={{ display: 'inline-block', maxWidth: 320, whiteSpace: 'normal' }}>
      {r.reason}
      {r.state === 'unknown' && <> {t('why.refund')}</>}
      {r.problem && <Typography.Text type="secondary"> {r.problem}</Typography.Text>}
    </span>
  )
}
