import { AlertOutlined } from '@ant-design/icons'
import { lazy } from 'react'
import type { Page } from '../../app/page'
import en from './en.json'
import zh from './zh.json'

export const page: Page = {
  path: 'incidents',
  letter: 'i',
  group: 'work',
  order: 35,
  rights: ['hub:read'],
  icon: <AlertOutlined />,
  texts: { zh, en },
  component: lazy(() => import('./Incidents')),
}
