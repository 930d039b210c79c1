import { Button, theme } from 'antd'
import dayjs, { type Dayjs } from 'dayjs'
import { useState } from 'react'
import { Link } from 'react-router'
import type { Schemas } from '../../api/client'
import { localeOf, useLanguage } from '../../app/texts'
import { different, useReckoning } from './words'

/** Calendar shows a month of nights, one mark a day: its meaning is in words, too. */
export function Calendar({ nights, to }: { nights: Schemas['Night'][]; to: (day: string) => string }) {
  const { t, night } = useReckoning()
  const { token } = theme.useToken()
  const { language } = useLanguage()
  const [month, setMonth] = useState<Dayjs>(() => dayjs(nights[0]?.day).startOf('month'))
  const by = new Map(nights.map((n) => [n.day, n]))
  const first = month.subtract((month.day() + 6) % 7, 'day') // a Monday
  const days = Array.from({ length: 42 }, (_, i) => first.add(i, 'day'))
  const locale = localeOf(language)
  return (
    <div>
      <div className="row" style={{ justifyContent: 'space-between', marginBottom: 8 }}>
        <Button size="small" onClick={() => setMonth(month.subtract(1, 'month'))}>{t('month.before')}</Button>
        <strong>{new Intl.DateTimeFormat(locale, { year: 'numeric', month: 'long' }).format(month.toDate())}</strong>
        <Button size="small" onClick={() => setMonth(month.add(1, 'month'))}>{t('month.after')}</Button>
      </div>
      <div style={{ display: 'grid', gridTemplateColumns: 'repeat(7, minmax(0, 1fr))', gap: 4 }}>
        {days.slice(0, 7).map((d) => (
          <span key={d.day()} style={{ textAlign: 'center', color: token.colorTextSecondary }}>
            {new Intl.DateTimeFormat(locale, { weekday: 'narrow' }).format(d.toDate())}
          </span>
        ))}
        {days.map((d) => {
          const day = d.format('YYYY-MM-DD')
          const n = by.get(day)
          if (d.month() !== month.month()) return <span key={day} />
          const count = n ? different(n.counts) : 0
          const text = !n ? t('mark.none') : n.state !== 'done' ? night(n.state) : count ? t('mark.some', { n: count }) : t('mark.fine')
          const mark = !n ? '·' : n.state === 'failed' ? '✕' : n.state !== 'done' ? '…' : count ? String(count) : '✓'
          const edge = !n ? token.colorBorderSecondary : n.state === 'failed' ? token.colorError : n.state !== 'done' || count ? token.colorWarning : token.colorSuccess
          const cell = (
            <>
              <span style={{ color: token.colorTextSecondary }}>{d.date()}</span>
              <br />
              <strong>{mark}</strong>
            </>
          )
          const style = { display: 'block', textAlign: 'center' as const, border: `1px solid ${edge}`, borderRadius: 6, padding: '2px 0', color: token.colorText, lineHeight: 1.35 }
          return n ? (
            <Link key={day} to={to(day)} style={style} title={`${day}: ${text}`}>
              {cell}
            </Link>
          ) : (
            <span key={day} style={style} title={text}>
              {cell}
            </span>
          )
        })}
      </div>
    </div>
  )
}
