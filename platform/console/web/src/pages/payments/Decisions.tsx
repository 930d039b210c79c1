import { useQueryClient } from '@tanstack/react-query'
import { Button } from 'antd'
import { api, ok } from '../../api/client'
import { localeOf, useLanguage } from '../../app/texts'
import { useRights } from '../../app/session'
import { useAsk } from '../../parts/Ask'
import { yuan } from '../../parts/Yuan'
import { useMoney, whyOf, type Attempt, type Refund } from './words'

const keys = ['undecided', 'payments', 'payment', 'refunds', 'journal', 'balance']

/** DecidePayment offers what a person may do about a payment that nobody else can settle. */
export function DecidePayment({ of: a }: { of: Attempt }) {
  const { t, channel } = useMoney()
  const { language } = useLanguage()
  const { may } = useRights()
  const queries = useQueryClient()
  const { ask, asking } = useAsk()
  const why = whyOf(a)
  if (!why || !may('clinic:refund', a.hospital)) return null
  const does = (decision: 'ask' | 'nothing_came' | 'give_back', danger = false) => (
    <Button
      size="small"
      type={decision === 'ask' ? 'primary' : 'default'}
      danger={danger}
      onClick={() =>
        ask({
          title: t(`decide.title.${decision}`, { no: a.no }),
          about: t(`decide.about.${decision}`, { channel: channel(a.channel), yuan: yuan(a.got || a.amount, localeOf(language)) }),
          act: t(`decide.${decision}`),
          danger,
          note: true,
          run: async (note) => {
            try {
              await ok(api.POST('/clinic/v1/hospitals/{hospital}/payments/{channel}/{no}/decide', { params: { path: { hospital: a.hospital, channel: a.channel, no: a.no } }, body: { decision, note } }))
            } finally {
              await Promise.all(keys.map((k) => queries.invalidateQueries({ queryKey: [k] })))
            }
          },
        })
      }
    >
      {t(`decide.${decision}`)}
    </Button>
  )
  return (
    <span className="row">
      {(why === 'unknown' || why === 'silent') && does('ask')}
      {(why === 'unknown' || why === 'silent') && does('nothing_came', true)}
      {(why === 'other' || why === 'refused') && does('give_back', true)}
      {asking}
    </span>
  )
}

/** DecideRefund offers a yes or no to money that somebody wants back, or another try. */
export function DecideRefund({ of: r }: { of: Refund }) {
  const { t } = useMoney()
  const { language } = useLanguage()
  const { may } = useRights()
  const queries = useQueryClient()
  const { ask, asking } = useAsk()
  if (!may('clinic:refund', r.hospital) || (r.state !== 'requested' && r.state !== 'failed')) return null
  const does = (decision: 'approve' | 'decline' | 'again' | 'drop', danger = false) => (
    <Button
      size="small"
      type={danger ? 'default' : 'primary'}
      danger={danger}
      onClick={() =>
        ask({
          title: t(`refund.title.${decision}`, { no: r.no }),
          about: t(`refund.about.${decision}`, { yuan: yuan(r.amount, localeOf(language)), order: r.order_no }),
          act: t(`refund.${decision}`),
          danger,
          note: true,
          run: async (note) => {
            try {
              await ok(api.POST('/clinic/v1/hospitals/{hospital}/refunds/{no}/decide', { params: { path: { hospital: r.hospital, no: r.no } }, body: { decision, note } }))
            } finally {
              await Promise.all(keys.map((k) => queries.invalidateQueries({ queryKey: [k] })))
            }
          },
        })
      }
    >
      {t(`refund.${decision}`)}
    </Button>
  )
  return (
    <span className="row">
      {r.state === 'requested' ? does('approve') : does('again')}
      {r.state === 'requested' ? does('decline', true) : does('drop', true)}
      {asking}
    </span>
  )
}
