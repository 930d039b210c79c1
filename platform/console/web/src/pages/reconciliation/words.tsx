import { Tag } from 'antd'
import { useTexts } from '../../app/texts'
import en from './en.json'
import zh from './zh.json'

type Key = keyof typeof zh

const known = (key: string): key is Key => key in zh

/** useReckoning says what nights and cases have words of their own for. */
export function useReckoning() {
  const t = useTexts({ zh, en })
  const of = (key: string, value: string) => (known(key) ? t(key) : value)
  return {
    t,
    /** A class of difference. */
    difference: (c: string) => of(`class.${c}`, c),
    party: (p: string) => of(`party.${p}`, p),
    type: (e: string) => of(`type.${e}`, e),
    channel: (c: string) => of(`channel.${c}`, c),
    night: (s: string) => of(`night.${s}`, s),
    caseState: (s: string) => of(`case.${s}`, s),
    owner: (o: string) => of(`owner.${o}`, o),
    action: (a: string) => of(`action.${a}`, a),
    /** What follows when a repair is approved. */
    follows: (a: string) => of(`follows.${a}`, a),
    repair: (s: string) => of(`repair.${s}`, s),
    verb: (v: string) => of(`verb.${v}`, v),
  }
}

export const parties = ['channel', 'ours', 'his'] as const

/** classes that somebody must look into, in the order of reports. */
export const differences = ['missing_at_his', 'missing_here', 'without_money', 'paid_twice', 'amount_differs', 'state_differs', 'repeated', 'ambiguous'] as const

/** different counts what somebody must look into. */
export const different = (counts?: Record<string, number>) => differences.reduce((n, c) => n + (counts?.[c] ?? 0), 0)

const colours: Record<string, string> = { open: 'warning', repairing: 'processing', resolved: 'success', written_off: 'default', running: 'processing', waiting: 'warning', done: 'success', failed: 'error' }

export function CaseState({ state }: { state: string }) {
  const { caseState } = useReckoning()
  return <Tag color={colours[state]} variant="outlined">{caseState(state)}</Tag>
}

export function NightState({ state, closed }: { state: string; closed: boolean }) {
  const { night, t } = useReckoning()
  return (
    <>
      <Tag color={colours[state]} variant="outlined">{night(state)}</Tag>
      {closed && <Tag variant="outlined">{t('closed')}</Tag>}
    </>
  )
}
