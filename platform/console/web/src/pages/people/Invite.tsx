import { Alert, Button, Form, Input, Select } from 'antd'
import { useState } from 'react'
import { api, ok, type Schemas } from '../../api/client'
import { useTexts } from '../../app/texts'
import { Time } from '../../parts/Time'
import { Prove } from './Prove'
import en from './en.json'
import zh from './zh.json'

type Invitation = Schemas['ClinicIdentityInvitation']

// Those that a hospital gives by itself; the others are the platform's.
const roles = ['doctor', 'pharmacist', 'nurse', 'cashier', 'finance', 'hospital_admin', 'ops'] as const

/** Invite makes an account with a role; the invitation is shown this once. */
export function Invite({ hospital, done }: { hospital: string; done: () => Promise<unknown> }) {
  const t = useTexts({ zh, en })
  const [open, setOpen] = useState(false)
  const [made, setMade] = useState<Schemas['ClinicIdentityInvited'] | null>(null)
  return (
    <>
      <Button type="primary" onClick={() => setOpen(true)}>
        {t('invite')}
      </Button>
      <Prove<Invitation>
        open={open}
        title={t('invite.title')}
        close={() => setOpen(false)}
        run={async (v) => {
          const code = (v.code ?? '').trim()
          const note = (v.note ?? '').trim()
          setMade(await ok(api.POST('/clinic/v1/hospitals/{hospital}/staff', { params: { path: { hospital } }, body: { name: v.name.trim(), title: v.title.trim(), role: v.role, ...(code ? { code } : {}), ...(note ? { note } : {}) } })))
          await done()
        }}
      >
        <Form.Item name="name" label={t('invite.name')} rules={[{ required: true, whitespace: true, message: t('need') }]}>
          <Input maxLength={64} autoComplete="off" />
        </Form.Item>
        <Form.Item name="title" label={t('name')} rules={[{ required: true, whitespace: true, message: t('need') }]}>
          <Input maxLength={64} autoComplete="off" />
        </Form.Item>
        <Form.Item name="role" label={t('role')} initialValue="nurse" extra={t('role.about')}>
          <Select options={roles.map((r) => ({ value: r, label: t(`role.${r}`) }))} />
        </Form.Item>
        <Form.Item name="code" label={t('code')}>
          <Input maxLength={64} autoComplete="off" />
        </Form.Item>
        <Form.Item name="note" label={t('note')}>
          <Input maxLength={200} autoComplete="off" />
        </Form.Item>
      </Prove>
      {made && (
        <Alert
          type="success"
          showIcon
          closable={{ onClose: () => setMade(null) }}
          style={{ width: '100%' }}
          title={t('invited')}
          description={
            <>
              <span className="mono" style={{ overflowWrap: 'anywhere', userSelect: 'all' }}>
                {made.invitation}
              </span>
              <br />
              {t('invited.ends')} <Time at={made.ends_at} />
            </>
          }
        />
      )}
    </>
  )
}
