import { useQueryClient } from '@tanstack/react-query'
import { Button, InputNumber } from 'antd'
import { useRef } from 'react'
import { api, ok } from '../../api/client'
import type { Light } from '../../app/live'
import { useRights } from '../../app/session'
import { useTexts } from '../../app/texts'
import { useAsk } from '../../parts/Ask'
import en from './en.json'
import zh from './zh.json'

interface Limits {
  concurrency?: number
  rate?: number
}

/** Acts are what a person may do with a hospital as it is now. */
export function Acts({ light: l }: { light: Light }) {
  const t = useTexts({ zh, en })
  const { may } = useRights()
  const queries = useQueryClient()
  const { ask, asking } = useAsk()
  const wanted = useRef<Limits>({})
  if (!may('hub:pause', l.id)) return null
  const params = { path: { hospital: l.id } }
  const which = l.name || l.id
  const done = () => queries.invalidateQueries({ queryKey: ['waiting', l.id] })
  return (
    <>
      {l.paused_at ? (
        <Button
          type="primary"
          onClick={() =>
            ask({
              title: t('resume.title', { which }),
              about: t('resume.about', { n: l.queued }),
              act: t('resume'),
              note: true,
              run: async (note) => {
                await ok(api.POST('/v1/hospitals/{hospital}/resume', { params, body: { note } }))
                await done()
              },
            })
          }
        >
          {t('resume')}
        </Button>
      ) : (
        <Button
          danger
          onClick={() =>
            ask({
              title: t('pause.title', { which }),
              about: t('pause.about', { n: l.queued + l.sending }),
              act: t('pause'),
              danger: true,
              note: true,
              run: async (note) => {
                await ok(api.POST('/v1/hospitals/{hospital}/pause', { params, body: { note } }))
                await done()
              },
            })
          }
        >
          {t('pause')}
        </Button>
      )}
      <Button
        onClick={() => {
          wanted.current = { ...l.limits }
          ask({
            title: t('set.title', { which }),
            about: <LimitFields key={l.id + Date.now()} limits={wanted.current} />,
            act: t('set'),
            note: true,
            run: async (note) => {
              const { concurrency, rate } = wanted.current
              // What is empty is the folder's again.
              await ok(api.POST('/v1/hospitals/{hospital}/limits', { params, body: { reset: true, note, ...(concurrency !== undefined ? { concurrency } : {}), ...(rate !== undefined ? { rate } : {}) } }))
            },
          })
        }}
      >
        {t('set')}
      </Button>
      {asking}
    </>
  )
}

/** LimitFields writes into limits what is entered. */
function LimitFields({ limits }: { limits: Limits }) {
  const t = useTexts({ zh, en })
  const take = (name: keyof Limits) => (v: number | null) => {
    if (v === null) delete limits[name]
    else limits[name] = v
  }
  return (
    <>
      <p>{t('set.about')}</p>
      <div className="row">
        <label htmlFor="limit-concurrency">{t('set.concurrency')}</label>
        <InputNumber id="limit-concurrency" min={1} max={1000} precision={0} {...(limits.concurrency !== undefined ? { defaultValue: limits.concurrency } : {})} onChange={take('concurrency')} />
        <label htmlFor="limit-rate">{t('set.rate')}</label>
        <InputNumber id="limit-rate" min={0} max={100000} {...(limits.rate !== undefined ? { defaultValue: limits.rate } : {})} onChange={take('rate')} />
      </div>
    </>
  )
}
