import { AuditOutlined } from '@ant-design/icons'
import { lazy } from 'react'
import type { Page } from '../../app/page'
import en from './en.json'
import zh from './zh.json'

export const page: Page = {
  path: 'reconciliation',
  letter: 'c',
  group: 'money',
  order: 60,
  rights: ['hub:night', 'hub:cases'],
  icon: <AuditOutlined />,
  texts: { zh, en },
  component: lazy(() => import('./Reconciliation')),
  below: [
    { path: 'nights/:hospital/:day', component: lazy(() => import('./Night')) },
    { path: 'cases/:id', component: lazy(() => import('./Case')) },
  ],
}
