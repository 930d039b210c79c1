import { Tooltip } from 'antd'
import { localeOf, useLanguage, useTexts } from '../app/texts'
import en from '../words/en.json'
import zh from '../words/zh.json'

/** moment is a time in full, in this browser's zone. */
export const moment = (at: string | Date, locale: string) =>
  new Intl.DateTimeFormat(locale, { dateStyle: 'short', timeStyle: 'medium' }).format(new Date(at))

/** useLasts says roughly how long something lasts: milliseconds in words. */
export function useLasts() {
  const t = useTexts({ zh, en })
  return (ms: number) => {
    const s = Math.max(0, Math.round(ms / 1000))
    if (s < 60) return t('for.s', { n: s })
    if (s < 3600) return t('for.min', { n: Math.round(s / 60) })
    if (s < 48 * 3600) return t('for.h', { n: Math.round(s / 3600) })
    return t('for.d', { n: Math.round(s / 86400) })
  }
}

/** Time is when something was; Ago says how long ago, with the time when one points at it. */
export function Time({ at }: { at?: string | null }) {
  const { language } = useLanguage()
  if (!at) return null
  return <time dateTime={at}>{moment(at, localeOf(language))}</time>
}

export function Ago({ at }: { at?: string | null }) {
  const { language } = useLanguage()
  const t = useTexts({ zh, en })
  if (!at) return <>–</>
  const s = Math.max(0, Math.round((Date.now() - new Date(at).getTime()) / 1000))
  const words =
    s < 2 ? t('ago.now') : s < 60 ? t('ago.s', { n: s }) : s < 3600 ? t('ago.min', { n: Math.round(s / 60) }) : s < 48 * 3600 ? t('ago.h', { n: Math.round(s / 3600) }) : t('ago.d', { n: Math.round(s / 86400) })
  return (
    <Tooltip title={moment(at, localeOf(language))}>
      <time dateTime={at}>{words}</time>
    </Tooltip>
  )
}
