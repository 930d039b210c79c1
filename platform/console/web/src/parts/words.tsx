import { Tag, theme } from 'antd'
import { useTexts } from '../app/texts'
import en from '../words/en.json'
import zh from '../words/zh.json'

/** useWords says what the API has words of its own for; a word without a translation stays as it is. */
export function useWords() {
  const t = useTexts({ zh, en })
  const word = (group: 'state' | 'class' | 'kind' | 'light' | 'incident' | 'severity' | 'outcome', value: string) => {
    const key = `${group}.${value}`
    return key in zh ? t(key as keyof typeof zh) : value
  }
  return { t, word }
}

const states: Record<string, string> = { queued: 'processing', sending: 'processing', delivered: 'success', parked: 'warning', cancelled: 'default' }

export function State({ state }: { state: string }) {
  const { word } = useWords()
  return <Tag color={states[state]} variant="outlined">{word('state', state)}</Tag>
}

const classes: Record<string, string> = { unavailable: 'processing', in_doubt: 'magenta', rejected: 'error', invalid: 'error' }

export function Class({ of }: { of?: string }) {
  const { word } = useWords()
  return of ? <Tag color={classes[of]} variant="outlined">{word('class', of)}</Tag> : null
}

/** Lamp is a light with its meaning in words beside it: colour alone says nothing. */
export function Lamp({ light }: { light: string }) {
  const { token } = theme.useToken()
  const { word } = useWords()
  const colours: Record<string, string> = { green: token.colorSuccess, yellow: token.colorWarning, red: token.colorError, paused: token.colorInfo, closed: token.colorTextQuaternary }
  return (
    <span style={{ whiteSpace: 'nowrap' }}>
      <span className="dot" style={{ background: colours[light] }} aria-hidden />
      {word('light', light)}
    </span>
  )
}
