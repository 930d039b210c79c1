import { localeOf, useLanguage } from '../app/texts'

/** yuan writes fen, which are whole numbers: 123456 is 1,234.56. */
export function yuan(fen: number, locale: string): string {
  const whole = Math.trunc(Math.abs(fen) / 100)
  const rest = String(Math.abs(fen) % 100).padStart(2, '0')
  return (fen < 0 ? '\u2212' : '') + whole.toLocaleString(locale) + '.' + rest
}

/** Yuan shows an amount of fen, in columns under one another. */
export function Yuan({ fen }: { fen?: number | null }) {
  const { language } = useLanguage()
  if (fen === undefined || fen === null) return null
  return <span style={{ fontVariantNumeric: 'tabular-nums', whiteSpace: 'nowrap' }}>{yuan(fen, localeOf(language))}</span>
}
