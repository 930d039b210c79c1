import { AuditOutlined } from '@ant-design/icons'
import { lazy } from 'react'
import type { Page } from '../../app/page'
import en from './en.json'
import zh from './zh.json'

export const page: Page = {
  path: 'audit',
  letter: 'a',
  group: 'security',
  order: 90,
  rights: ['hub:audit'],
  icon: <AuditOutlined />,
  texts: { zh, en },
  component: lazy(() => import('./Audit')),
}
