var $wnd = $wnd || window.parent;var __gwtModuleFunction = $wnd.vpbxGwt;
var $sendStats = __gwtModuleFunction.__sendStats;$sendStats('moduleStartup', 'moduleEvalStart');
var $gwt_version = "RELEASE";var $strongName = 'PERMUTATION';var $gwt = {};
var $doc = $wnd.document;var $moduleName, $moduleBase;
function __gwtStartLoadingFragment(frag) {var fragFile = 'deferredjs/' + $strongName + '/' + frag
  + '.cache.js';return __gwtModuleFunction.__startLoadingFragment(fragFile);}
function gwtOnLoad(b,c,d){$moduleName=c;$moduleBase=d}
CODE$sendStats('moduleStartup', 'moduleEvalEnd');gwtOnLoad();
