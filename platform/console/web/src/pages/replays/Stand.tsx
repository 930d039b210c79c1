import { Tag } from 'antd'
import type { Schemas } from '../../api/client'
import { useTexts } from '../../app/texts'
import en from './en.json'
import zh from './zh.json'

const colours = { listing: 'processing', proposed: 'warning', running: 'processing', paused: 'warning', done: 'success', cancelled: 'default' }

/** Stand is a replay's state in words. */
export function Stand({ state }: { state: Schemas['Replay']['state'] }) {
  const t = useTexts({ zh, en })
  return (
    <Tag color={colours[state]} variant="outlined">
      {t(`state.${state}`)}
    </Tag>
  )
}
