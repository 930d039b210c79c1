import { BankOutlined } from '@ant-design/icons'
import { lazy } from 'react'
import type { Page } from '../../app/page'
import en from './en.json'
import zh from './zh.json'

export const page: Page = {
  path: 'hospitals',
  letter: 'h',
  group: 'hospitals',
  order: 40,
  rights: ['hub:read'],
  icon: <BankOutlined />,
  texts: { zh, en },
  component: lazy(() => import('./Hospitals')),
  below: [{ path: ':id', component: lazy(() => import('./Hospital')) }],
}
