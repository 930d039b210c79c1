import { Tag } from 'antd'
import type { Schemas } from '../../api/client'
import { useTexts } from '../../app/texts'
import en from './en.json'
import zh from './zh.json'

export type Attempt = Schemas['ClinicPayAttempt']
export type Refund = Schemas['ClinicPayRefund']

type Key = keyof typeof zh

const known = (key: string): key is Key => key in zh

/** useMoney says what payments have words of their own for. */
export function useMoney() {
  const t = useTexts({ zh, en })
  const of = (key: string, value: string) => (known(key) ? t(key) : value)
  return {
    t,
    channel: (c: string) => of(`channel.${c}`, c),
    paid: (s: string) => of(`paid.${s}`, s),
    back: (s: string) => of(`back.${s}`, s),
    origin: (o: string) => of(`origin.${o}`, o),
    told: (x?: string) => (x ? of(`told.${x}`, x) : '–'),
    fact: (f: string) => of(`fact.${f}`, f),
    /** An account of the journal: channel:wechat, revenue:drugs, patients. */
    account: (a: string) => {
      const [head = '', rest = ''] = a.split(':')
      const name = of(`account.${head}`, head)
      return rest ? name + ' · ' + (head === 'channel' ? of(`channel.${rest}`, rest) : of(`revenue.${rest}`, rest)) : name
    },
  }
}

export const paidStates = ['created', 'sent', 'unknown', 'succeeded', 'failed', 'closed', 'stray', 'review'] as const
export const backStates = ['requested', 'declined', 'approved', 'sent', 'unknown', 'succeeded', 'failed', 'dropped'] as const
export const tolds = ['telling', 'told', 'stuck', 'go_back'] as const

const colours: Record<string, string> = { unknown: 'magenta', review: 'warning', succeeded: 'success', failed: 'error', stray: 'warning', requested: 'warning', stuck: 'warning', go_back: 'error' }

export function PaidState({ of }: { of: Attempt }) {
  const { paid, told } = useMoney()
  return (
    <>
      <Tag color={colours[of.state]} variant="outlined">{paid(of.state)}</Tag>
      {of.told && of.told !== 'told' && <Tag color={colours[of.told]} variant="outlined">{told(of.told)}</Tag>}
    </>
  )
}

export function BackState({ of }: { of: Refund }) {
  const { back, told } = useMoney()
  return (
    <>
      <Tag color={colours[of.state]} variant="outlined">{back(of.state)}</Tag>
      {of.told && of.told !== 'told' && <Tag color={colours[of.told]} variant="outlined">{told(of.told)}</Tag>}
    </>
  )
}

/** why is the key of the text that says why a person is needed; null: none is. */
export function whyOf(a: Attempt): 'unknown' | 'silent' | 'other' | 'refused' | null {
  if (a.state === 'unknown') return 'unknown'
  if (a.state === 'review') return (a.got ?? 0) > 0 ? 'other' : 'silent'
  return a.state === 'succeeded' && a.told === 'go_back' ? 'refused' : null
}
