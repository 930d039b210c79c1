import { theme } from 'antd'
import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { localeOf, useLanguage } from '../app/texts'

export interface Line {
  name: string
  colour: string
  values: (number | null)[]
}

/** Chart draws lines over time; its caption says in words what it shows last. */
export function Chart({ title, caption, at, lines, unit }: { title: string; caption: string; at: number[]; lines: Line[]; unit: string }) {
  const box = useRef<HTMLDivElement>(null)
  const { token } = theme.useToken()
  const { language } = useLanguage()
  const data = JSON.stringify([at, ...lines.map((l) => l.values)])
  const looks = JSON.stringify([lines.map((l) => [l.name, l.colour]), token.colorTextSecondary, token.colorBorderSecondary, language, unit])
  useEffect(() => {
    const el = box.current
    if (!el) return
    const axis = { stroke: token.colorTextSecondary, grid: { stroke: token.colorBorderSecondary, width: 1 }, ticks: { show: false } }
    const time = new Intl.DateTimeFormat(localeOf(language), { hour: '2-digit', minute: '2-digit', hour12: false })
    const options = (): uPlot.Options => ({
      width: el.clientWidth,
      height: 180,
      legend: { live: false },
      cursor: { drag: { setScale: false } },
      scales: { y: { range: (_u, _min, max) => [0, Math.max(1, (max ?? 0) * 1.1)] } },
      axes: [
        { ...axis, values: (_u, all) => all.map((s) => time.format(new Date(s * 1000))) },
        { ...axis, size: 56, values: (_u, all) => all.map((v) => (v >= 1000 ? v / 1000 + 'k' : String(v)) + unit) },
      ],
      series: [{}, ...lines.map((l) => ({ label: l.name, stroke: l.colour, width: 2, points: { show: true, size: 3 }, spanGaps: true }))],
    })
    const plot = new uPlot(options(), JSON.parse(data) as uPlot.AlignedData, el)
    const sizes = new ResizeObserver(() => plot.setSize({ width: el.clientWidth, height: 180 }))
    sizes.observe(el)
    return () => {
      sizes.disconnect()
      plot.destroy()
    }
    // data and looks say all that the picture depends on
    // eslint-disable-next-line
  }, [data, looks])
  return (
    <figure style={{ margin: 0, minWidth: 0 }} aria-label={title + ': ' + caption}>
      <figcaption>
        <strong>{title}</strong> <span style={{ color: token.colorTextSecondary }}>{caption}</span>
      </figcaption>
      <div ref={box} aria-hidden style={{ minHeight: 210 }} />
    </figure>
  )
}
