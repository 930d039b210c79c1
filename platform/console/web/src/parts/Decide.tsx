import { useQueryClient } from '@tanstack/react-query'
import { Button, type ButtonProps } from 'antd'
import { api, ok, type Schemas } from '../api/client'
import { useRights } from '../app/session'
import { useTexts } from '../app/texts'
import en from '../words/decide.en.json'
import zh from '../words/decide.zh.json'
import { useAsk, type Question } from './Ask'

type Message = Schemas['Message']

/** Decide offers what a person may do about a message as it is now. */
export function Decide({ message: m, size }: { message: Message; size?: ButtonProps['size'] }) {
  const t = useTexts({ zh, en })
  const { may } = useRights()
  const queries = useQueryClient()
  const { ask, asking } = useAsk()
  if (!may('hub:decide', m.hospital)) return null
  const done = () => Promise.all(['messages', 'message', 'parked', 'blocked'].map((k) => queries.invalidateQueries({ queryKey: [k] })))
  const path = { id: m.id }
  const release = (decision: 'again' | 'delivered') => async (note: string) => {
    await ok(api.POST('/v1/messages/{id}/release', { params: { path }, body: { decision, note } }))
    await done()
  }
  const button = (act: string, q: Omit<Question, 'act'>, more?: ButtonProps) => (
    <Button size={size} onClick={() => ask({ ...q, act })} {...more}>
      {act}
    </Button>
  )
  const which = `${m.kind} ${m.key}`
  const doubtful = m.class === 'in_doubt'
  return (
    <span className="row" style={{ flexWrap: size === 'small' ? 'nowrap' : 'wrap' }}>
      {m.state === 'queued' &&
        button(t('retry'), {
          title: t('retry.title', { which }),
          about: t('retry.about'),
          note: false,
          run: async () => {
            await ok(api.POST('/v1/messages/{id}/retry', { params: { path } }))
            await done()
          },
        })}
      {m.state === 'parked' && doubtful && button(t('inquire'), { title: t('inquire.title', { which }), about: t('inquire.about'), note: true, run: release('again') }, { type: 'primary' })}
      {m.state === 'parked' && !doubtful && button(t('again'), { title: t('again.title', { which }), about: t('again.about'), note: true, run: release('again') }, { type: 'primary' })}
      {m.state === 'parked' && button(t('delivered'), { title: t('delivered.title', { which }), about: t('delivered.about'), note: true, danger: true, run: release('delivered') })}
      {(m.state === 'queued' || m.state === 'parked' || m.state === 'sending') &&
        !m.cancel_wanted &&
        button(
          t('cancel'),
          {
            title: t('cancel.title', { which }),
            about: m.state === 'queued' && m.attempts === 0 ? t('cancel.about.now') : t('cancel.about.later'),
            note: true,
            danger: true,
            run: async (note) => {
              await ok(api.POST('/v1/messages/{id}/cancel', { params: { path }, body: { note } }))
              await done()
            },
          },
          { danger: true },
        )}
      {asking}
    </span>
  )
}
