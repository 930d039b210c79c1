import { Empty, theme } from 'antd'
import { localeOf, useLanguage } from '../../app/texts'
import { yuan } from '../../parts/Yuan'
import { useReckoning } from './words'

interface Point {
  day: string
  count: number
  fen: number
}

/** Trend is how many differences the days had, the money in question under it. */
export function Trend({ points }: { points: Point[] }) {
  const { t } = useReckoning()
  const { language } = useLanguage()
  if (points.length === 0) return <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('trend.none')} />
  const sum = points.reduce((a, p) => ({ count: a.count + p.count, fen: a.fen + p.fen }), { count: 0, fen: 0 })
  return (
    <>
      <Bars title={t('differences')} points={points} of={(p) => p.count} say={(p) => `${p.day}: ${p.count}`} />
      <Bars title={t('question')} points={points} of={(p) => Math.abs(p.fen)} say={(p) => `${p.day}: ${yuan(p.fen, localeOf(language))}`} />
      <div>{t('trend.sum', { days: points.length, n: sum.count, yuan: yuan(sum.fen, localeOf(language)) })}</div>
    </>
  )
}

const height = 80

function Bars({ title, points, of, say }: { title: string; points: Point[]; of: (p: Point) => number; say: (p: Point) => string }) {
  const { token } = theme.useToken()
  const most = Math.max(1, ...points.map(of))
  const wide = 600 / points.length
  return (
    <figure style={{ margin: '0 0 8px' }}>
      <figcaption style={{ color: token.colorTextSecondary }}>{title}</figcaption>
      <svg viewBox={`0 0 600 ${height}`} preserveAspectRatio="none" width="100%" height={height} role="img" aria-label={`${title}: ${points.map(say).join('; ')}`}>
        <line x1={0} x2={600} y1={height - 0.5} y2={height - 0.5} stroke={token.colorBorder} />
        {points.map((p, i) => (
          <rect key={p.day} x={i * wide + wide * 0.15} width={wide * 0.7} y={height - (of(p) / most) * (height - 4)} height={(of(p) / most) * (height - 4)} fill={token.colorPrimary}>
            <title>{say(p)}</title>
          </rect>
        ))}
      </svg>
      <div style={{ display: 'flex', justifyContent: 'space-between', color: token.colorTextSecondary }}>
        <span>{points[0]?.day}</span>
        <span>{points.at(-1)?.day}</span>
      </div>
    </figure>
  )
}
