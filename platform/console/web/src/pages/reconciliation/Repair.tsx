import { Alert, Button, Card, Input, Radio, Typography } from 'antd'
import { useState } from 'react'
import { Link } from 'react-router'
import { api, ok, type Schemas } from '../../api/client'
import { localeOf, useLanguage } from '../../app/texts'
import { useRights } from '../../app/session'
import { useAsk } from '../../parts/Ask'
import { Time } from '../../parts/Time'
import { Yuan, yuan } from '../../parts/Yuan'
import { useReckoning } from './words'

type Action = NonNullable<Schemas['ProposedRepairBody']['action']>
type Params = Schemas['RepairParams']

const lacking = ['order_id', 'bill', 'visit_no', 'patient_no'] as const

/** Repair is what is proposed about a case: what would follow, who said yes, and how it went. */
export function Repair({ of: c, changed }: { of: Schemas['CaseDetail']; changed: () => Promise<unknown> }) {
  const { t, action, follows, repair } = useReckoning()
  const { may, me } = useRights()
  const { language } = useLanguage()
  const { ask, asking } = useAsk()
  const [chosen, choose] = useState<string>()
  const [params, setParams] = useState<Params>({})
  const r = c.repair
  const amount = (fen: number) => yuan(fen, localeOf(language))
  const waits = r?.state === 'proposed'
  const open = c.state === 'open' && (!r || r.state === 'failed' || r.state === 'rejected' || (waits && r.proposed_by === 'policy'))
  const preview = (a: string, fen: number) => (
    <>
      <strong>{t('preview')}</strong> {follows(a)} {t('preview.amount', { yuan: amount(fen) })}
    </>
  )
  const decide = (verb: 'approve' | 'reject') => {
    if (!r) return
    ask({
      title: t(`title.${verb}`, { action: action(r.action), n: c.id }),
      about: verb === 'approve' ? preview(r.action, r.amount) : t('reject.about'),
      act: t(verb),
      danger: verb === 'reject',
      note: true,
      run: async (note) => {
        const path = { params: { path: { id: c.id, repair: r.id } }, body: { note } }
        try {
          if (verb === 'approve') await ok(api.POST('/v1/cases/{id}/repairs/{repair}/approve', path))
          else await ok(api.POST('/v1/cases/{id}/repairs/{repair}/reject', path))
        } finally {
          await changed() // also when it was refused: somebody else may have been quicker
        }
      },
    })
  }
  const propose = (a: string) =>
    ask({
      title: t('propose.title', { action: action(a) }),
      about: (
        <>
          {preview(a, c.amount)} {t('propose.about')}
        </>
      ),
      act: t('propose'),
      note: true,
      run: async (note) => {
        await ok(api.POST('/v1/cases/{id}/repairs', { params: { path: { id: c.id } }, body: { action: a as Action, params, note } }))
        choose(undefined)
        await changed()
      },
    })
  const pick = chosen ?? c.allowed[0] ?? ''
  return (
    <Card size="small" title={t('repair')} style={{ marginBottom: 16 }}>
      {r && (
        <>
          <Typography.Paragraph>
            <strong>{action(r.action)}</strong> · {repair(r.state)} · <Yuan fen={r.amount} /> · {t('proposed.by', { who: r.proposed_by })} <Time at={r.proposed_at} />
            {r.approved_by && <> · {t('approved.by', { who: [r.approved_by, r.second_by].filter(Boolean).join(', ') })}</>}
            {r.message && (
              <>
                {' '}
                · <Link to={`/messages/${r.message}`}>{t('message.no', { n: r.message })}</Link>
              </>
            )}
          </Typography.Paragraph>
          {r.note && <Typography.Paragraph type="secondary">{r.note}</Typography.Paragraph>}
          {r.problem && <Alert type="error" showIcon title={r.problem} description={t('failed.do')} style={{ marginBottom: 12 }} />}
          {waits && <Alert type="info" showIcon title={preview(r.action, r.amount)} description={r.people === 2 ? t('second') : undefined} style={{ marginBottom: 12 }} />}
          {waits && may('hub:approve', c.hospital) && (
            <div className="row">
              <Button type="primary" onClick={() => decide('approve')}>{t('approve')}</Button>
              <Button danger onClick={() => decide('reject')}>{t('reject')}</Button>
              {me !== null && r.proposed_by.endsWith(`(account ${me.account})`) && <Typography.Text type="secondary">{t('own')}</Typography.Text>}
            </div>
          )}
          {waits && !may('hub:approve', c.hospital) && <Typography.Text type="secondary">{t('approve.who')}</Typography.Text>}
        </>
      )}
      {open && may('hub:cases', c.hospital) && (
        <div style={{ marginTop: r ? 16 : 0 }}>
          <Typography.Paragraph>{t('choose')}</Typography.Paragraph>
          <Radio.Group
            value={pick}
            onChange={(e) => choose(e.target.value as string)}
            options={c.allowed.map((a) => ({ value: a, label: action(a) }))}
            style={{ marginBottom: 8 }}
          />
          <Typography.Paragraph type="secondary">{follows(pick)}</Typography.Paragraph>
          {(pick === 'record' || pick === 'pay_back') && (
            <div className="row" style={{ marginBottom: 12 }}>
              {lacking
                .filter((p) => pick === 'record' || p === 'order_id')
                .map((p) => (
                  <label key={p} style={{ display: 'grid' }}>
                    {t(`param.${p}`)}
                    <Input maxLength={p === 'bill' ? 500 : 64} value={params[p] ?? ''} onChange={(e) => setParams({ ...params, [p]: e.target.value })} style={{ width: 200 }} />
                  </label>
                ))}
              <Typography.Text type="secondary">{t('param.about')}</Typography.Text>
            </div>
          )}
          <Button type="primary" ghost={waits} disabled={pick === ''} onClick={() => propose(pick)}>
            {t('propose.button', { action: action(pick) })}
          </Button>
        </div>
      )}
      {!r && !open && <Typography.Text type="secondary">{t('repair.none')}</Typography.Text>}
      {asking}
    </Card>
  )
}
